package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"github.com/hubtwin/hubtwin/client"
)

// Register a device, tag its twin, and find it again by the tag.
func Example() {
	// A hub for this example. In life, connection strings come from `hubtwin
	// dev`, and RootCAs is not needed where the system knows the authority.
	_, connectionStrings, roots, stop := startHub()
	defer stop()

	c, err := client.New(connectionStrings["iothubowner"], client.Options{RootCAs: roots})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()

	if _, err := c.CreateDevice(ctx, client.Device{ID: "device1"}); err != nil {
		log.Fatal(err)
	}
	tags := json.RawMessage(`{"tags":{"location":{"region":"US","plant":"Redmond43"}}}`)
	if _, err := c.PatchTwin(ctx, "device1", "", tags, ""); err != nil {
		log.Fatal(err)
	}
	for page, err := range c.Query(ctx, "SELECT deviceId FROM devices WHERE tags.location.plant = 'Redmond43'", 100) {
		if err != nil {
			log.Fatal(err)
		}
		for _, row := range page.Rows {
			fmt.Printf("%s\n", row)
		}
	}
	// Output: {"deviceId":"device1"}
}
