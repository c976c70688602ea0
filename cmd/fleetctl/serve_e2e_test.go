//go:build unix && e2e

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patienceOfBrowser is how long anything on the page is waited for.
const patienceOfBrowser = time.Minute

// TestServe_InChromium shows a fleet of three real relays in a real browser, and kills one.
// Pictures of what it shows are left in .e2e/screenshots.
func TestServe_InChromium(t *testing.T) {
	f := newTestFleet(t)
	f.must(0, "up", "--yes")
	at := startServe(t, f)
	b := startBrowser(t, at)

	b.do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(at))
	b.until("the page is live and all is well", `text("#headline").includes("3 of 3 relays serve") && text("#how") === "Live" && text("#tiles").includes("Peers ever seen")`)
	b.until("telemetry is there", `document.querySelectorAll("#charts svg").length === 3`)
	b.picture("light")
	b.do(asked(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}))
	b.picture("dark")
	b.do(asked(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{}), chromedp.EmulateViewport(390, 844))
	if wide := b.number(`document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("on a telephone the page is %d wide, want at most 390", wide)
	}
	b.picture("narrow")
	b.do(chromedp.EmulateViewport(1280, 900))

	b.do(chromedp.KeyEvent("\t"))
	if !b.truth(`document.activeElement.className === "skip" && document.activeElement.getBoundingClientRect().top >= 0`) {
		t.Error("the first Tab leads to no visible way past the head of the page")
	}

	keepsFocus := holdFocus(b)
	took := killsShow(t, f, b)
	t.Logf("a killed relay shows within %s", took.Round(10*time.Millisecond))
	keepsFocus(t)
	b.picture("killed")

	withoutScript(t, b, at)
	b.complaints(t)
}

// killsShow kills one relay after the other until one shows within 5 s: a computer that is
// busy with something else is given that many chances. Each must show in the end, and what
// is no longer known of it must say so.
func killsShow(t *testing.T, f *testFleet, b *browser) time.Duration {
	t.Helper()
	var took time.Duration
	for i, node := range []string{"fra1-1", "sgp1-1", "nyc1-1"} {
		pid := f.relay(node).PID
		begun := time.Now()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatalf("kill %s: %v", node, err)
		}
		row := `text("#row-` + node + `")`
		b.until(node+" is down", row+`.includes("down")`)
		took = time.Since(begun)
		b.until("it is announced", `text("#announce").includes("`+node+` is down") && text("#attention").includes("`+node+`")`)
		if !b.truth(row + `.includes("unknown of 64")`) {
			t.Errorf("%s was killed, and its reservations are not called unknown: %s", node, b.text(row))
		}
		b.until("it is not counted as verified", fmt.Sprintf(`/Verified in DNS\s+\W*%d\s/.test(text("#tiles"))`, 2-i))
		if took <= 5*time.Second {
			return took
		}
		t.Logf("%s showed after %s", node, took)
	}
	t.Errorf("no killed relay showed within 5 s, the last one after %s", took)
	return took
}

// holdFocus opens the numbers of a chart and leaves the keyboard there. What it returns fails
// the test unless both are so when the page has put another chart in that one's place.
func holdFocus(b *browser) func(t *testing.T) {
	b.do(chromedp.Click("#charts figure:nth-of-type(2) summary"), chromedp.Focus("#charts figure:nth-of-type(2) summary"))
	title := b.text(`(window.held = document.activeElement).textContent`)
	return func(t *testing.T) {
		t.Helper()
		b.until("the chart is drawn anew", `!window.held.isConnected`)
		if got := b.text(`document.activeElement.tagName + " " + document.activeElement.textContent`); got != "SUMMARY "+title {
			t.Errorf("the page was drawn anew: the keyboard is at %q, want it where it was, at %q", got, title)
		}
		if !b.truth(`document.querySelector("#charts figure:nth-of-type(2) details").open`) {
			t.Errorf("the page was drawn anew: %q is closed, want it open as it was", title)
		}
	}
}

// withoutScript loads the page where no script runs: all of it must be there.
func withoutScript(t *testing.T, b *browser, at string) {
	t.Helper()
	b.do(asked(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Navigate(at))
	b.picture("noscript")
	html := got(b, chromedp.OuterHTML("html"))
	for _, want := range []string{"nyc1-1", "fra1-1", "sgp1-1", "Needs attention", "Without JavaScript this page stays as it is", "Peers ever seen"} {
		if !strings.Contains(html, want) {
			t.Errorf("without JavaScript the page does not say %q", want)
		}
	}
	b.do(asked(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{}))
}

// startServe runs `fleetctl serve` until the test ends, and returns its address.
func startServe(t *testing.T, f *testFleet) string {
	t.Helper()
	c := f.command(context.Background(), nil, "serve", "--listen", "127.0.0.1:0", "-o", "json", "--look", "3s", "--every", "2s")
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		if err := c.Wait(); err != nil {
			t.Errorf("serve was ended: %v, want exit 0", err)
		}
	})
	var v serveView
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&v); err != nil || v.URL == "" {
		t.Fatalf("serve does not say where it is: %+v %v", v, err)
	}
	return v.URL
}

// browser is a tab of a Chromium, and what went wrong in it.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu   sync.Mutex
	bad  []string
	asks int // requests to serve that it told of
}

// startBrowser starts Chromium until the test ends. Whatever it asks another host for,
// and every complaint of its console, is noted.
func startBrowser(t *testing.T, at string) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v: apt-get install chromium", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.WSURLReadTimeout(patienceOfBrowser), chromedp.Flag("hide-scrollbars", true))
	allocated, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end)
	own, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t}
	ctx, cancel := chromedp.NewContext(allocated, chromedp.WithListener(func(event any) { b.hear(own.Host, event) }))
	t.Cleanup(cancel)
	b.ctx = ctx
	// The first action starts the browser, which lives as long as its context.
	if err := chromedp.Do(ctx, asked(log.Enable, cdp.Empty{}), asked(runtime.Enable, cdp.Empty{}), asked(network.Enable, network.EnableParams{})); err != nil {
		t.Fatalf("browser: %v", err)
	}
	return b
}

// asked is a command to the browser.
func asked[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

// hear notes what is no good news.
func (b *browser) hear(host string, event any) {
	switch e := event.(type) {
	case *log.EventEntryAdded:
		b.note("log: " + e.Entry.Text + " " + e.Entry.URL)
	case *runtime.EventExceptionThrown:
		b.note("exception: " + e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.note(fmt.Sprintf("console: %s", e.Type))
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || u.Host != host {
			b.note("asked " + e.Request.URL)
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.asks++
	}
}

func (b *browser) note(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bad = append(b.bad, what)
}

// complaints fails the test if the browser had any, or was not heard at all.
func (b *browser) complaints(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.asks == 0 {
		t.Error("the browser told of no request: its complaints were not heard either")
	}
	for _, what := range b.bad {
		t.Errorf("the browser complains: %s", what)
	}
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	got(b, chromedp.Steps(actions...))
}

// got is what an action of the browser gives.
func got[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patienceOfBrowser)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("browser: %v", err)
	}
	return v
}

// script is an expression that may use text(SELECTOR).
func script(expression string) string {
	return `(() => { const text = (s) => (document.querySelector(s)?.innerText ?? ""); return ` + expression + `; })()`
}

func (b *browser) truth(expression string) bool {
	b.t.Helper()
	return got(b, chromedp.Evaluate[bool](script("Boolean("+expression+")")))
}

func (b *browser) number(expression string) int {
	b.t.Helper()
	return got(b, chromedp.Evaluate[int](script(expression)))
}

func (b *browser) text(expression string) string {
	b.t.Helper()
	return got(b, chromedp.Evaluate[string](script(expression)))
}

// until waits until an expression is true on the page.
func (b *browser) until(what, expression string) {
	b.t.Helper()
	deadline := time.After(patienceOfBrowser)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !b.truth(expression) {
		select {
		case <-tick.C:
		case <-deadline:
			b.picture("failed")
			b.t.Fatalf("%s: not within %s; the page says:\n%s", what, patienceOfBrowser, b.text(`document.body.innerText`))
		}
	}
}

// picture leaves a picture of the whole page in .e2e/screenshots.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := filepath.Join("..", "..", ".e2e", "screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // pictures to look at
		b.t.Fatal(err)
	}
	png := got(b, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
