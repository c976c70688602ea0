package local

import (
	"errors"
	"io/fs"
)

func supported() error { return errors.New("provider local does not run on Windows") }

func ours(fs.FileInfo) bool { return true }
