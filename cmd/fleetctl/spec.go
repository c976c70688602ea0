package main

// specPath is the absolute path of the spec.
func (a *app) specPath() string { return a.abs(a.globals.config) }
