package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
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
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
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

// start runs the command until end is called, which returns its status. It returns the
// first lines that the command writes, by their first word.
func start(t *testing.T, lines int, args ...string) (said map[string]string, end func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, args, write, t.Output())
		write.Close()
	}()
	said = map[string]string{}
	from := bufio.NewReader(read)
	for range lines {
		line, err := from.ReadString('\n')
		if err != nil {
			t.Fatalf("got %q and %v, want %d lines on stdout", said, err, lines)
		}
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		said[word] = rest
	}
	return said, func() int { cancel(); return <-code }
}

func TestServe_WhatIsPostedIsAnsweredByTheNameServerUntilItIsTold(t *testing.T) {
	said, end := start(t, 3, "-zone", "relays.test", "-token", "made-up", "-plan", "pro", "-no-rate-limits")
	url, ready := strings.CutPrefix(said["listening"], "on ")
	zone, id, _ := strings.Cut(said["zone"], " ")
	addr := said["name"][strings.LastIndex(said["name"], " ")+1:]
	if !ready || !strings.HasSuffix(url, "/client/v4") || zone != "relays.test" || id == "" {
		t.Fatalf("got %q, want where it listens and the zone", said)
	}
	const body = `{"type":"TXT","name":"_dnsaddr.relays.test","content":"\"dnsaddr=/dns4/a.test\"","ttl":60}`
	if code, text := ask(t, "POST", url+"/zones/"+id+"/dns_records", "made-up", body); code != http.StatusOK {
		t.Fatalf("create: got %d %s, want 200", code, text)
	}
	if code, _ := ask(t, "GET", url+"/zones/"+id+"/dns_records", "cftest", ""); code != http.StatusForbidden {
		t.Errorf("another token: got %d, want 403", code)
	}
	if _, text := ask(t, "GET", url+"/zones/"+id, "made-up", ""); !strings.Contains(text, `"name_servers":["`+addr+`"]`) {
		t.Errorf("got %s, want %s as its name server", text, addr)
	}
	q := new(dns.Msg).SetQuestion("_dnsaddr.relays.test.", dns.TypeTXT)
	m, _, err := (&dns.Client{Timeout: 30 * time.Second}).ExchangeContext(t.Context(), q, addr)
	if err != nil || len(m.Answer) != 1 || !strings.Contains(m.Answer[0].String(), `"dnsaddr=/dns4/a.test"`) {
		t.Errorf("got %v, %v; want the record", m, err)
	}
	if code := end(); code != 0 {
		t.Errorf("got status %d, want 0", code)
	}
}

func TestServe_RefusesWhatItCannotDo(t *testing.T) {
	for args, want := range map[string]string{
		"-listen 0.0.0.0:0":    "loopback",
		"-dns 192.0.2.1:53":    "loopback",
		"-listen localhost:80": "want an address",
		"-zone under_score":    "cannot be called",
		"-token a -token a":    "another one",
		"-plan gold":           "no such plan",
		"-frobnicate":          "frobnicate",
		"127.0.0.1:80":         "only flags",
		"-token=":              "empty",
	} {
		var stderr strings.Builder
		if code := run(t.Context(), strings.Fields(args), io.Discard, &stderr); code != 1 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: got status %d, %q; want 1 and %q", args, code, stderr.String(), want)
		}
	}
}
