// Command hostile stands in for the relay on a box that was taken over: it answers on
// the HTTP API of its configuration with what the file "hostile" of its state directory
// names.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	escape = "\x1b[2J\x1b]0;owned\x07"
	other  = "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq"
	future = 4102444800 // 2100
)

func main() {
	config, err := os.ReadFile(os.Args[3]) // relay run --config FILE
	if err != nil {
		log.Fatal(err)
	}
	kind, err := os.ReadFile(filepath.Join(value(config, "state"), "hostile"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s hostile relay, \xff\xfe and \u202e\n", escape)
	server := http.Server{Addr: value(config, "api"), Handler: handler(string(kind)), ReadHeaderTimeout: time.Second}
	log.Fatal(server.ListenAndServe())
}

// value finds a key of the configuration that fleetctl writes, one a line.
func value(config []byte, key string) string {
	found := regexp.MustCompile(`(?m)^` + key + `: *"?([^"\n]*)"?$`).FindSubmatch(config)
	if found == nil {
		log.Fatalf("no %s in the configuration", key)
	}
	return string(found[1])
}

func handler(kind string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch kind {
		case "endless":
			for line := strings.Repeat("x", 1<<16); ; {
				if _, err := io.WriteString(w, line); err != nil {
					return
				}
			}
		case "silent":
			<-r.Context().Done()
		case "liar":
			lie(w, r)
		}
	})
}

// lie answers in the shape that was asked for, and nothing in it is right.
func lie(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/readyz":
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, `{"ready":false,"reason":"\u001b[31mgone\u0007 %sraw %s"}`, "\xff\xfe", "\u202e")
	case "/api/version":
		fmt.Fprintf(w, `{"version":"\u001b[2Jv9","peer_id":%q,"sha256":"../../etc/passwd"}`, other)
	case "/api/reservations":
		fmt.Fprint(w, `{"active":-7}`)
	case "/api/stats":
		fmt.Fprintf(w, `{"peer_id":%q,"connected_peers":-5,"peak_concurrent_peers":-1,"uptime_secs":-3,"nat_status":"\u001b[2Jpublic","joins_per_minute":[[%d,1]]}`, other, future)
	case "/api/bootstrap/census":
		fmt.Fprintf(w, `{"enabled":true,"lifetime_unique_peers":-1,"generated_at":%d}`, future)
	default:
		fmt.Fprint(w, escape)
	}
}
