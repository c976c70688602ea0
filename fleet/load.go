package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// MaxSpecSize is how large a fleet.yaml may be, in bytes.
const MaxSpecSize = 1 << 20

// maxDepth is how deep a fleet.yaml may be nested. Ours needs four levels.
const maxDepth = 32

// maxKeys is how many keys a fleet.yaml may have. MaxNodes regions need three each; the
// parser's time grows with the square of them.
const maxKeys = 10_000

// Load reads a fleet.yaml and completes it with the defaults. file is named in errors
// and not opened. Every problem is reported at once, as a [SpecError].
func Load(data []byte, file string) (Spec, error) {
	body, broken := parse(data)
	if broken != nil {
		return Spec{}, &SpecError{File: file, Problems: []Problem{*broken}}
	}

	// The defaults depend on some of the values: read once to know these, then again
	// over the defaults. Problems are the same both times.
	var known Spec
	keys(&known).read(newReader(), "", body)

	spec := Defaults(known.Name, known.Provider, known.DNS.Zone, known.Nodes)
	r := newReader()
	keys(&spec).read(r, "", body)
	for i := range spec.Nodes {
		if !r.has(fmt.Sprintf("nodes[%d].count", i)) {
			spec.Nodes[i].Count = 1
		}
	}
	if !r.has("relay.limits.process_memory") && spec.Relay.Limits.Memory > 0 {
		spec.Relay.Limits.ProcessMemory = processMemory(spec.Relay.Limits.Memory)
	}
	if spec.Provider == ProviderHosts && !r.broken["hosts"] {
		completeHosts(&spec)
	}
	if spec.Provider == ProviderDigitalOcean && !r.has("digitalocean.max_machines") {
		spec.Ocean.MaxMachines = 2 * countNodes(spec.Nodes)
	}
	if !r.has("dns.min_relays") {
		spec.DNS.MinRelays = Defaults(spec.Name, spec.Provider, spec.DNS.Zone, spec.Nodes).DNS.MinRelays
	}

	c := &checker{places: r.places, broken: r.broken, problems: r.problems, more: r.more, told: make(map[string]bool)}
	c.spec(&spec)
	if err := c.err(file); err != nil {
		return Spec{}, err
	}
	return spec, nil
}

// parse turns a file into the mapping that it holds, or says why it holds none.
func parse(data []byte) (ast.Node, *Problem) {
	if len(data) > MaxSpecSize {
		return nil, &Problem{Want: fmt.Sprintf("the file is larger than %d bytes; a fleet.yaml never is", MaxSpecSize)}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	if p := notText(data); p != nil {
		return nil, p
	}
	tokens := lexer.Tokenize(string(data))
	if p := refusedToken(tokens); p != nil {
		return nil, p
	}
	f, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxProblem(err)
	}
	var body ast.Node
	for _, d := range f.Docs {
		switch {
		case d.Body == nil || d.Body.Type() == ast.CommentType:
		case body != nil:
			p := placeOf(d.Body)
			return nil, &Problem{Line: p.line, Column: p.column, Want: "a second document begins here; a fleet.yaml is one"}
		default:
			body = d.Body
		}
	}
	if body == nil || body.Type() == ast.NullType {
		return nil, &Problem{Want: "the file is empty; want at least name, nodes and dns.domain (`fleetctl init` writes one)"}
	}
	return body, nil
}

// notText finds the first byte that has no place in a text file.
func notText(data []byte) *Problem {
	line, column := 1, 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return &Problem{Line: line, Column: column, Got: fmt.Sprintf("byte 0x%02x", data[i]), Want: "the file is not UTF-8 text"}
		case r == '\n':
			line, column = line+1, 0
		case r != '\t' && !strconv.IsPrint(r) && r != '\u00a0' && r != '\ufeff':
			return &Problem{Line: line, Column: column, Got: fmt.Sprintf("character %U", r), Want: "control characters are not accepted"}
		}
		i += size
		column++
	}
	return nil
}

// refusedToken finds what YAML knows and a fleet.yaml does not need: each of these makes
// a file mean something else than it seems to say, or cost more than its size.
func refusedToken(tokens token.Tokens) *Problem {
	depth, entries, keys, line := 0, 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, entries = t.Position.Line, 0
		}
		want := ""
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			want = "anchors and aliases are not accepted: write the value out"
		case token.TagType:
			want = "tags are not accepted: write the value without it"
		case token.DirectiveType:
			want = "directives are not accepted: remove the line"
		case token.MappingKeyType:
			want = "complex keys (?) are not accepted"
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.SequenceEntryType:
			entries++
		case token.MappingValueType:
			if keys++; keys > maxKeys {
				want = fmt.Sprintf("more than %d keys; a fleet.yaml never has as many", maxKeys)
			}
		}
		if depth > maxDepth || entries > maxDepth {
			want = fmt.Sprintf("nested deeper than %d levels", maxDepth)
		}
		if want != "" {
			return &Problem{Line: t.Position.Line, Column: t.Position.Column, Got: quote(t.Value), Want: want}
		}
	}
	return nil
}

func syntaxProblem(err error) *Problem {
	var y yaml.Error
	if !errors.As(err, &y) {
		return &Problem{Want: "not YAML: " + plain(err.Error())}
	}
	p := Problem{Want: "not YAML: " + plain(y.GetMessage())}
	if t := y.GetToken(); t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	return &p
}

// place is where something stands in a file.
type place struct{ line, column int }

func placeOf(n ast.Node) place {
	t := n.GetToken()
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		t = m.Values[0].Key.GetToken()
	}
	if m, ok := n.(*ast.MappingValueNode); ok {
		t = m.Key.GetToken()
	}
	if t == nil || t.Position == nil {
		return place{}
	}
	return place{t.Position.Line, t.Position.Column}
}

// sortProblems puts problems into the order of the file.
func sortProblems(ps []Problem) {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}
