package main

import (
	"strings"
	"testing"
)

func TestSummarize_OnlyARunInWhichEverythingRanAndPassedIsGood(t *testing.T) {
	const pass = `{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}` + "\n" + `{"Action":"pass","Package":"p","Elapsed":0.2}` + "\n"
	for _, tt := range []struct {
		name, in string
		ok       bool
		want     string
	}{
		{"all passed", pass, true, "1 passed, 0 failed, 0 skipped"},
		{"one failed", `{"Action":"output","Package":"p","Test":"TestB","Output":"got 1, want 2\n"}` + "\n" +
			`{"Action":"fail","Package":"p","Test":"TestB"}` + "\n" + `{"Action":"fail","Package":"p"}` + "\n" + pass, false, "got 1, want 2"},
		{"one skipped", `{"Action":"output","Package":"p","Test":"TestC","Output":"    x_test.go:1: needs root\n"}` + "\n" +
			`{"Action":"skip","Package":"p","Test":"TestC"}` + "\n" + pass, false, "SKIPPED p TestC: x_test.go:1: needs root"},
		{"does not build", `{"Action":"build-output","ImportPath":"p","Output":"x.go:1: broken\n"}` + "\n" + `{"Action":"fail","Package":"p"}` + "\n" + pass, false, "x.go:1: broken"},
		{"panics outside a test", `{"Action":"output","Package":"p","Output":"panic: boom\n"}` + "\n" + `{"Action":"fail","Package":"p"}` + "\n", false, "panic: boom"},
		{"a test that never ended", `{"Action":"output","Package":"p","Test":"TestD","Output":"waiting\n"}` + "\n" + `{"Action":"fail","Package":"p"}` + "\n", false, "waiting"},
		{"nothing ran", `{"Action":"skip","Package":"p"}` + "\n", false, "no test ran"},
		{"go's own words", "go: no such package\n" + pass, true, "go: no such package"},
		{"what a test counted", `{"Action":"output","Package":"p","Test":"TestA","Output":"kill points 9 twins 0\n"}` + "\n" + pass, true, "kill points 9 twins 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			ok, err := summarize(strings.NewReader(tt.in), &out)
			if err != nil {
				t.Fatal(err)
			}
			if ok != tt.ok || !strings.Contains(out.String(), tt.want) {
				t.Errorf("ok = %v, want %v, with %q in:\n%s", ok, tt.ok, tt.want, &out)
			}
		})
	}
}
