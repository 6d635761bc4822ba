package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAzurite has devices upload files to a real emulator of a blob store, and jobs
// read and write there.
func TestAzurite(t *testing.T) {
	program, err := filepath.Abs("azurite/node_modules/.bin/azurite-blob")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("Azurite is not installed; run `make test`, or `npm ci` in e2e/azurite: %v", err)
	}
	port := fmt.Sprint(freePort(t))
	account, key := "fleet", make([]byte, 64)
	rand.Read(key)
	secret := base64.StdEncoding.EncodeToString(key)
	endpoint := "https://localhost:" + port + "/" + account
	h := newHub(t, "--device", "device1", "--device", "device2", "--blob-container", "uploads", "--blob-storage",
		"AccountName="+account+";AccountKey="+secret+";BlobEndpoint="+endpoint)
	tls := filepath.Join(filepath.Dir(h.env), "data", "tls")
	t.Setenv("SSL_CERT_FILE", filepath.Join(tls, "ca-bundle.pem")) // The hub is a client, too.
	h.start()

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	certificate := filepath.Join(tls, "server.pem") // with the key
	store := exec.CommandContext(ctx, program, "--silent", "--loose", "--skipApiVersionCheck", "--disableTelemetry", "--location", t.TempDir(),
		"--blobHost", "127.0.0.1", "--blobPort", port, "--cert", certificate, "--key", certificate)
	store.Env = append(os.Environ(), "AZURITE_ACCOUNTS="+account+":"+secret)
	var said bytes.Buffer
	store.Stdout, store.Stderr = &said, &said
	if err := store.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		store.Process.Kill()
		store.Wait()
		if t.Failed() {
			t.Logf("Azurite says:\n%s", &said)
		}
	}()
	for free("127.0.0.1", port) == nil { // until it listens
		if ctx.Err() != nil {
			t.Fatal("Azurite does not listen")
		}
		time.Sleep(100 * time.Millisecond)
	}

	h.nodeTests([]string{"STORAGE_ACCOUNT=" + account, "STORAGE_KEY=" + secret, "STORAGE_ENDPOINT=" + endpoint}, "azurite/azurite.test.js")

	var told []string
	for line := range strings.Lines(h.shell(binary + " monitor --stream filenotifications --from-start -n 3 -o json")) {
		var e struct {
			Body struct {
				BlobName        string
				BlobSizeInBytes int
			}
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		told = append(told, fmt.Sprint(e.Body.BlobName, " ", e.Body.BlobSizeInBytes))
	}
	if want := []string{"device1/logs/over mqtt.txt 9", "device1/http.txt 10", "device1/one.txt 4"}; !slices.Equal(told, want) {
		t.Errorf("back ends hear of %q, want %q", told, want)
	}
	h.stop()
}
