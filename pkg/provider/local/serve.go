package local

import "context"

// Serve makes sure that the supervisor, and with it every service beside the boxes,
// runs. It changes nothing where one lives.
func (p *Provider) Serve(ctx context.Context) error {
	_, err := p.ensure(ctx)
	return err
}
