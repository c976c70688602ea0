package web

import (
	"encoding/json"
	"net/http"
)

// Problem is the body of every answer that is an error.
type Problem struct {
	Error string `json:"error"`
	Hint  string `json:"hint"` // what to do about it, "" if nothing can be
}

// fail answers with an error.
func fail(w http.ResponseWriter, status int, what, hint string) {
	send(w, status, Problem{Error: sentence(what), Hint: sentence(hint)})
}

// send answers with JSON. A body that cannot be sent has nobody to be told to.
func send(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be encoded","hint":""}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}
