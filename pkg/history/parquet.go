package history

import "github.com/parquet-go/parquet-go"

// compression of Parquet files: every reader has it.
var compression = parquet.Snappy //nolint:unused // for now
