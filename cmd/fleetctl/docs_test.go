package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocs_NameWhatIsThere looks up every declaration that docs name as `Name` (file.go)
// or `Type.Method` (file.go), and every file that a link leads to.
func TestDocs_NameWhatIsThere(t *testing.T) {
	const root = "../../"
	pages, err := filepath.Glob(root + "docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(root + "docs/decisions/*.md")
	if err != nil || len(more) == 0 || len(pages) == 0 {
		t.Fatalf("no pages in docs: %v", err)
	}
	named := regexp.MustCompile("`([A-Za-z.]+)`\\s\\(([a-z0-9_/]+\\.go)\\)")
	linked := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	found := 0
	for _, page := range append(append(pages, more...), root+"README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			found++
			if !declares(t, root+m[2], m[1]) {
				t.Errorf("%s: %s does not declare %s", filepath.Base(page), m[2], m[1])
			}
		}
		for _, m := range linked.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: link to %s: %v", filepath.Base(page), m[1], err)
			}
		}
	}
	if found < 50 {
		t.Errorf("%d declarations are named in docs; the tour alone has 50", found)
	}
}

// TestDocs_NameTestsThatAreThere looks up every test that a page of docs names.
func TestDocs_NameTestsThatAreThere(t *testing.T) {
	t.Parallel()
	const root = "../../"
	there := make(map[string]bool)
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, dir := range []string{"cmd", "dnsaddr", "fleet", "pkg", "relay", "stats"} {
		err := filepath.WalkDir(root+dir, func(file string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, "_test.go") {
				return err
			}
			text, err := os.ReadFile(file)
			for _, m := range declared.FindAllSubmatch(text, -1) {
				there[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	pages, err := filepath.Glob(root + "docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]int)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`(Test[A-Z]\\w*)`").FindAllSubmatch(text, -1) {
			found[filepath.Base(page)]++
			if !there[string(m[1])] {
				t.Errorf("%s: there is no test %s", filepath.Base(page), m[1])
			}
		}
	}
	for page, least := range map[string]int{"digitalocean.md": 80, "dns.md": 60} {
		if found[page] < least {
			t.Errorf("%s names %d tests: each of its claims has one, of %d and more", page, found[page], least)
		}
	}
}

// declares reports whether a file declares a function, a method ("Type.Method" or
// "Method"), a type or a value.
func declares(t *testing.T, file, name string) bool {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Errorf("%v", err)
		return false
	}
	receiver, method, qualified := strings.Cut(name, ".")
	if !qualified {
		receiver, method = "", name
	}
	for _, d := range parsed.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.Name == method && (receiver == "" || receiver == receiverOf(d)) {
				return true
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if receiver == "" && specDeclares(spec, method) {
					return true
				}
			}
		}
	}
	return false
}

// receiverOf is the type whose method d is, "" for a function.
func receiverOf(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	kind := d.Recv.List[0].Type
	if p, ok := kind.(*ast.StarExpr); ok {
		kind = p.X
	}
	if id, ok := kind.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

func specDeclares(spec ast.Spec, name string) bool {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		return s.Name.Name == name
	case *ast.ValueSpec:
		for _, id := range s.Names {
			if id.Name == name {
				return true
			}
		}
	}
	return false
}
