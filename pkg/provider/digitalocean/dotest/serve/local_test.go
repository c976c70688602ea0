package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestServe_LocalBoxesAnswerSSHUntilTheEnd(t *testing.T) {
	dir := t.TempDir()
	url, end := start(t, "-boxes", "local", "-dir", dir)
	const userData = "#cloud-config\\nwrite_files: [{path: /etc/ssh/sshd_config.d/port.conf, content: Port 2222}]\\n"
	code, body := ask(t, "POST", url+"/v2/droplets", "dotest",
		`{"name":"a","region":"nyc1","size":"s-1vcpu-1gb","image":"debian-12-x64","user_data":"`+userData+`"}`)
	if code != http.StatusAccepted {
		t.Fatalf("create: got %d %s, want 202", code, body)
	}
	var addr []string
	for deadline := time.Now().Add(10 * time.Second); addr == nil; {
		_, body = ask(t, "GET", url+"/v2/droplets", "dotest", "")
		addr = regexp.MustCompile(`"ip_address":"(127[0-9.]+)"`).FindStringSubmatch(body)
		if time.Now().After(deadline) {
			t.Fatalf("no address after 10 s: %s", body)
		}
	}
	at := net.JoinHostPort(addr[1], "2222")
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	banner, err := bufio.NewReader(c).ReadString('\n')
	_ = c.Close()
	if err != nil || !strings.HasPrefix(banner, "SSH-2.0-") {
		t.Errorf("got %q, %v; want SSH", banner, err)
	}
	if code := end(); code != 0 {
		t.Errorf("got status %d, want 0", code)
	}
	if c, err := net.Dial("tcp", at); err == nil {
		_ = c.Close()
		t.Errorf("%s answers after the end", at)
	}
	if left, err := os.ReadDir(dir); err == nil && len(left) > 0 {
		t.Errorf("got %s left, want nothing", fmt.Sprint(left))
	}
}
