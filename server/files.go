package server

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// writeFile makes file hold exactly content. Readers see the old content or the
// new, never a part. A file that is right already is left alone.
func writeFile(file string, content []byte, mode fs.FileMode) error {
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, content) {
		return nil
	}
	temporary, err := writeTemporary(file, content, mode)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, file); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", file, err), os.Remove(temporary))
	}
	return nil
}

// writeTemporary writes content to a new file beside file and gives its name.
func writeTemporary(file string, content []byte, mode fs.FileMode) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("write %s: %w", file, err)
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err != nil {
		return "", errors.Join(fmt.Errorf("write %s: %w", file, err), os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// rootFiles is where systems keep the certificates of the public authorities.
var rootFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Alpine, Arch
	"/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL
	"/etc/ssl/ca-bundle.pem",             // openSUSE
	"/etc/ssl/cert.pem",                  // macOS, BSD
}

// maxRoots bounds what is read of such a file, in bytes; real ones have 250 KB.
const maxRoots = 8 << 20

// machineRoots is the first of rootFiles that there is, or nothing.
// SSL_CERT_FILE and REQUESTS_CA_BUNDLE replace a program's roots rather than
// add to them, so a bundle without these would cut pip and curl off from the
// rest of the world.
func machineRoots() []byte {
	for _, file := range rootFiles {
		if info, err := os.Stat(file); err != nil || info.Size() > maxRoots {
			continue
		}
		if text, err := os.ReadFile(file); err == nil {
			return text
		}
	}
	return nil
}
