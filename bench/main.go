// Command bench measures hubtwin against programs that people know, side by side
// in one run, because machines differ and ratios travel.
//
//	go run ./bench mqtt      durable twin patches and reads against mosquitto's echo
//	go run ./bench query     queries over a million twins against PostgreSQL
//	go run ./bench import    import and export of a million twins
//
// It builds and starts everything it compares on loopback addresses, with a
// bounded number of requests, and cleans up after itself. docs/performance.md
// has the latest results. Begin at benchMQTT and benchQuery.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "mqtt" {
		return benchMQTT(ctx, args[1:])
	}
	if len(args) > 0 && args[0] == "query" {
		return benchQuery(ctx, args[1:])
	}
	if len(args) > 0 && args[0] == "import" {
		return benchImport(ctx, args[1:])
	}
	return errors.New("say what to measure: go run ./bench mqtt, query or import; -help behind it lists the flags")
}
