package dnsaddr

// Addr is the address of one relay: a multiaddr that can be dialed and that ends in
// /p2p/<peer ID>. The zero value is no address. Addr is comparable: equal addresses
// are equal text, in go-multiaddr's canonical form.
type Addr struct {
	text string
	peer string
}

// String is the multiaddr, "" for the zero value.
func (a Addr) String() string { return a.text }

// PeerID of the relay, in its canonical text form.
func (a Addr) PeerID() string { return a.peer }
