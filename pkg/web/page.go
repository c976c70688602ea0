package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"time"
)

// parsePage reads the templates, which are built in.
func parsePage() (*template.Template, error) {
	return template.New("page").Funcs(template.FuncMap{
		"clock": clock, "stamp": stamp, "count": count[int], "short": shortID,
	}).ParseFS(assets, "assets/*.html")
}

// frame is what the page has around its parts.
type frame struct {
	ID    string // of the look
	Name  string
	At    time.Time
	Stale bool
	Part  map[string]template.HTML
	Land  string // the map's land, as a path
	Box   string // the map's view box
	Rows  []part
	Beat  int64 // milliseconds
}

// servePage answers with the page, whole.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	if _, ok := params(w, r); !ok {
		return
	}
	now := s.now()
	parts, err := s.shots.developed(now)
	if err != nil {
		s.logFailure(r.Context(), err)
		fail(w, http.StatusInternalServerError, "the page could not be made", "")
		return
	}
	named := len(partNames())
	f := frame{
		ID: now.id, Name: now.fleet.Name, At: s.shownAt(now.fleet), Stale: s.stale(now.fleet), Rows: parts[named:],
		Part: make(map[string]template.HTML, named), Land: land(), Box: viewBox(), Beat: s.cfg.Beat.Milliseconds(),
	}
	for _, p := range parts[:named] {
		f.Part[p.ID] = p.HTML
	}
	var out bytes.Buffer
	if err := s.page.ExecuteTemplate(&out, "page", f); err != nil {
		s.logFailure(r.Context(), err)
		fail(w, http.StatusInternalServerError, "the page could not be made", "")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(out.Bytes())
}

// serveAsset answers with a file of the page. Browsers keep it as long as it is the same.
func (s *Server) serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	text, err := fs.ReadFile(assets, path.Join("assets", name))
	if err != nil || path.Ext(name) == ".html" {
		fail(w, http.StatusNotFound, "there is nothing here", "")
		return
	}
	sum := sha256.Sum256(text)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "no-cache")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	_, _ = w.Write(text) //nolint:gosec // a file that is built in
}
