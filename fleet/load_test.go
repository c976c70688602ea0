package fleet

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLoad_ExampleFleetsAreAccepted(t *testing.T) {
	files, err := filepath.Glob("../testdata/fleets/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no example fleets: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Load(data, file); err != nil {
			t.Errorf("%v", err)
		}
	}
}

// minimal is the shortest spec that is accepted.
const minimal = "name: three\nnodes: [{region: nyc1}]\ndns: {domain: p2p.three.test}\n"
