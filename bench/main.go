// Command bench measures hubtwin against programs that people know, side by side
// in one run, because machines differ and ratios travel.
//
//	go run ./bench mqtt      durable twin patches and reads against mosquitto's echo
//
// It builds and starts everything it compares on loopback addresses, with a
// bounded number of requests, and cleans up after itself. docs/performance.md
// has the latest results.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
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
	if len(args) == 0 || args[0] != "mqtt" {
		return fmt.Errorf("say what to measure: go run ./bench mqtt [-for 5s] [-rounds 3]")
	}
	flags := flag.NewFlagSet("bench mqtt", flag.ContinueOnError)
	length := flags.Duration("for", 5*time.Second, "length of one measurement")
	rounds := flags.Int("rounds", 3, "measurements of each kind; the median counts")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	return benchMQTT(ctx, *length, *rounds)
}
