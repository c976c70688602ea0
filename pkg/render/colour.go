package render

import (
	"fmt"
	"strings"
)

// Colour modes, as --color names them.
const (
	ColourAuto   = "auto"
	ColourAlways = "always"
	ColourNever  = "never"
)

// ColourModes lists the accepted values of --color.
func ColourModes() []string { return []string{ColourAuto, ColourAlways, ColourNever} }

// Colourful decides whether a stream gets colour. In mode auto the environment may
// forbid it (NO_COLOR with any value, CLICOLOR=0, TERM=dumb) or demand it
// (CLICOLOR_FORCE other than 0); else a terminal gets it and nothing else does.
func Colourful(mode string, getenv func(string) string, terminal bool) bool {
	switch mode {
	case ColourAlways:
		return true
	case ColourNever:
		return false
	}
	if getenv("NO_COLOR") != "" {
		return false
	}
	if force := getenv("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	if getenv("CLICOLOR") == "0" || getenv("TERM") == "dumb" {
		return false
	}
	return terminal
}

const reset = "\x1b[0m"

// code is the escape sequence of a tone, in the sixteen colours that every theme has.
func (t Tone) code() string {
	switch t {
	case Good:
		return "\x1b[32m"
	case Warn:
		return "\x1b[33m"
	case Bad:
		return "\x1b[31m"
	case Faint:
		return "\x1b[2m"
	}
	return ""
}

// tint colours safe text.
func tint(text string, t Tone, colour bool) string {
	if !colour || t == Plain || text == "" {
		return text
	}
	return t.code() + text + reset
}

// wrapTinted wraps text that may be tinted as a whole, and tints every line of it.
func wrapTinted(text string, width int) string {
	code := ""
	if strings.HasPrefix(text, "\x1b[") {
		end := strings.IndexByte(text, 'm') + 1
		code, text = text[:end], strings.TrimSuffix(text[end:], reset)
	}
	lines := wrap(text, width)
	if code != "" {
		for i, line := range lines {
			lines[i] = fmt.Sprint(code, line, reset)
		}
	}
	return strings.Join(lines, "\n")
}
