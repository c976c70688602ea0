package dnsaddr

// Sizes that decide how many records one name can hold.
const (
	// MaxString is the longest character-string of a TXT record, in bytes. Some
	// clients read only the first string of a record, so a value is never longer.
	MaxString = 255
	// MaxUDP is the largest answer, in bytes, that a client without EDNS receives
	// by UDP.
	MaxUDP = 512
	// MaxEDNS is the largest answer, in bytes, that common resolvers receive by UDP.
	MaxEDNS = 1232
)

// WireSize estimates the answer to a TXT query for name, in bytes: header, question,
// one record per value with its name compressed, and an EDNS option record.
func WireSize(name string, values []string) int {
	const (
		header   = 12
		question = 2 + 4  // the name's outer bytes, type and class
		record   = 2 + 10 // pointer to the name; type, class, TTL, length
		edns     = 11
	)
	size := header + len(name) + question + edns
	for _, v := range values {
		chunks := max(1, (len(v)+MaxString-1)/MaxString)
		size += record + len(v) + chunks
	}
	return size
}
