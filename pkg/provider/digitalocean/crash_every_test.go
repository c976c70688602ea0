//go:build !race

package digitalocean_test

const crashStride = 1
