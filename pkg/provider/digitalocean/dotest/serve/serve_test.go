package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ask makes one request of a served cloud.
func ask(t *testing.T, method, url, token, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(all)
}

// start runs the command until end is called, which returns its status.
func start(t *testing.T, args ...string) (url string, end func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, args, write, t.Output())
		write.Close()
	}()
	line, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		t.Fatalf("no line on stdout: %v", err)
	}
	url, ready := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ready {
		t.Fatalf("got %q, want \"listening on http://...\"", line)
	}
	return url, func() int { cancel(); return <-code }
}

func TestServe_AccountsOfTheTokensUntilItIsTold(t *testing.T) {
	url, end := start(t, "-listen", "127.0.0.1:0", "-token", "a", "-token", "b", "-limit", "3")
	if !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Errorf("got %q, want an address on 127.0.0.1", url)
	}
	for token, want := range map[string]int{"a": 200, "b": 200, "dotest": 401} {
		if got, _ := ask(t, "GET", url+"/v2/account", token, ""); got != want {
			t.Errorf("token %s: got %d, want %d", token, got, want)
		}
	}
	if _, body := ask(t, "GET", url+"/v2/account", "a", ""); !strings.Contains(body, `"droplet_limit":3`) {
		t.Errorf("got %s, want a limit of 3", body)
	}
	if code := end(); code != 0 {
		t.Errorf("got status %d, want 0", code)
	}
}

func TestServe_BoxesAreDestroyedAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	command, log := filepath.Join(dir, "box"), filepath.Join(dir, "log")
	text := "#!/bin/sh\necho \"$1\" >>" + log + "\n[ \"$1\" != boot ] || echo 127.0.0.1\n"
	if err := os.WriteFile(command, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	url, end := start(t, "-boxes", "exec", "-exec", command)
	code, body := ask(t, "POST", url+"/v2/droplets", "dotest",
		`{"name":"a","region":"nyc1","size":"s-1vcpu-1gb","image":"debian-12-x64"}`)
	if code != http.StatusAccepted {
		t.Errorf("create: got %d %s, want 202", code, body)
	}
	if code := end(); code != 0 {
		t.Errorf("got status %d, want 0", code)
	}
	if ran, err := os.ReadFile(log); err != nil || !strings.HasSuffix(string(ran), "destroy\n") {
		t.Errorf("got runs %q, %v; want a destroy at the end", ran, err)
	}
}

func TestServe_RefusesWhatItCannotDo(t *testing.T) {
	for args, want := range map[string]string{
		"-listen 0.0.0.0:0":       "loopback",
		"-listen 192.0.2.1:80":    "loopback",
		"-listen localhost:80":    "want an address",
		"-boxes metal":            "none or exec",
		"-boxes exec":             "-exec",
		"-frobnicate":             "frobnicate",
		"127.0.0.1:80":            "only flags",
		"-token= -listen [::1]:0": "empty",
	} {
		var stderr strings.Builder
		if code := run(t.Context(), strings.Fields(args), io.Discard, &stderr); code != 1 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: got status %d, %q; want 1 and %q", args, code, stderr.String(), want)
		}
	}
}
