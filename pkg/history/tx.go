package history

import (
	"context"
	"database/sql"
	"fmt"
)

// querier is what reads: a transaction or a connection.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each calls row for every row of an answer, with the function that scans it.
func each(ctx context.Context, q querier, query string, args []any, row func(scan func(...any) error) error) error {
	rows, err := q.QueryContext(ctx, query, args...) //nolint:sqlclosecheck // closed below
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one scans the only row of an answer. It is sql.ErrNoRows if there is none.
func one(ctx context.Context, q querier, query string, args []any, into ...any) error {
	found := false
	err := each(ctx, q, query, args, func(scan func(...any) error) error {
		found = true
		return scan(into...)
	})
	if err == nil && !found {
		err = sql.ErrNoRows
	}
	return err
}

// txn is a transaction that writes. Its statements are prepared once.
type txn struct {
	tx       *sql.Tx
	prepared map[string]*sql.Stmt
	before   func() error // called before each write; nil outside tests
}

func (t *txn) exec(ctx context.Context, query string, args ...any) error {
	if t.before != nil {
		if err := t.before(); err != nil {
			return err
		}
	}
	stmt, err := t.prepare(ctx, query)
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(ctx, args...)
	return err
}

func (t *txn) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, ok := t.prepared[query]; ok {
		return stmt, nil
	}
	stmt, err := t.tx.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	t.prepared[query] = stmt
	return stmt, nil
}

// QueryContext makes a txn a querier.
func (t *txn) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := t.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

func (t *txn) one(ctx context.Context, query string, args []any, into ...any) error {
	return one(ctx, t, query, args, into...)
}

// write runs f in a transaction that nobody else writes beside. After an error nothing
// of it is kept.
func (s *Store) write(ctx context.Context, f func(*txn) error) (err error) {
	if s.writer == nil {
		return fmt.Errorf("history: %s is open for reading only", s.path)
	}
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return s.explain(err)
	}
	t := &txn{tx: tx, prepared: make(map[string]*sql.Stmt), before: s.beforeWrite}
	if err := f(t); err != nil {
		t.rollback()
		return s.explain(err)
	}
	if t.before != nil {
		if err := t.before(); err != nil {
			t.rollback()
			return s.explain(err)
		}
	}
	return s.explain(tx.Commit())
}

// rollback leaves out what SQLite says when it has rolled back by itself, on a full disk
// for example, or when the context ended first.
func (t *txn) rollback() { _ = t.tx.Rollback() }

// read runs f on one unchanging state of the store.
func (s *Store) read(ctx context.Context, f func(querier) error) error {
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s.explain(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	return s.explain(f(tx))
}
