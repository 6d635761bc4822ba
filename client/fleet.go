package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/hubtwin/hubtwin/fault"
)

// ImportFailure is a line of an import that failed.
type ImportFailure struct {
	Line     int64      `json:"line"`
	DeviceID string     `json:"deviceId"`
	ModuleID string     `json:"moduleId"`
	Code     fault.Code `json:"errorCode"`
	Message  string     `json:"errorStatus"`
}

// ImportCounts is how far an import is, in lines.
type ImportCounts struct {
	Checked int64 `json:"checked"` // of an import that is all or nothing
	Applied int64 `json:"applied"` // durable
	Failed  int64 `json:"failed"`
}

// ImportOptions say how an import goes.
type ImportOptions struct {
	// AllOrNothing has the hub check every line before it carries out the first,
	// and carry out none if one is wrong. If the hub's disk fails, or somebody
	// else changes the registry meanwhile, a part may have been carried out.
	AllOrNothing bool
	// Failed, unless nil, is told of each line that failed, as they fail.
	Failed func(ImportFailure)
	// Progress, unless nil, is told about every second how far the hub is.
	Progress func(ImportCounts)
}

// maxImportAnswer bounds one line of the answer to an import, in bytes.
const maxImportAnswer = 1 << 20

// Import sends lines to the hub, each a JSON object: a device or module with its
// twin, in the form that Export gives, which is that of the service's import jobs.
// Lines that fail are told of and counted; the error says that the import as a
// whole did not get to its end, or did not begin. The counts are right in any case,
// up to the last that the hub told.
func (c *Client) Import(ctx context.Context, lines io.Reader, o ImportOptions) (ImportCounts, error) {
	r := request{method: http.MethodPost, path: []string{"$hubtwin", "import"}, stream: lines}
	if o.AllOrNothing {
		r.query = url.Values{"mode": {"all-or-nothing"}}
	}
	res, err := c.begin(ctx, r)
	if err != nil {
		return ImportCounts{}, err
	}
	defer res.Body.Close()
	answers := bufio.NewScanner(res.Body)
	answers.Buffer(nil, maxImportAnswer)
	var counts ImportCounts
	for answers.Scan() {
		var a importAnswer
		if err := json.Unmarshal(answers.Bytes(), &a); err != nil {
			return counts, fmt.Errorf("the answer of %s is not what a hub sends: %w", c.host, err)
		}
		switch {
		case a.Summary != nil:
			return a.Summary.ImportCounts, a.Summary.err()
		case a.Progress != nil:
			if counts = *a.Progress; o.Progress != nil {
				o.Progress(counts)
			}
		case o.Failed != nil:
			o.Failed(a.ImportFailure)
		}
	}
	if err := answers.Err(); err != nil {
		return counts, fmt.Errorf("the connection to %s broke before the import was done: %w", c.host, err)
	}
	return counts, fmt.Errorf("the connection to %s ended before the import was done", c.host)
}

// importAnswer is a line of the answer: one of the three.
type importAnswer struct {
	ImportFailure
	Progress *ImportCounts  `json:"progress"`
	Summary  *importSummary `json:"summary"`
}

type importSummary struct {
	ImportCounts
	Complete bool       `json:"complete"`
	Code     fault.Code `json:"errorCode"`
	Message  string     `json:"errorStatus"`
}

func (s *importSummary) err() error {
	if s.Complete {
		return nil
	}
	if s.Message == "" {
		return errors.New("the import ended before all lines were tried")
	}
	return &Error{Status: s.Code.Status(), Code: s.Code, Name: s.Code.Name(), Message: s.Message}
}

// Export writes a line for each device and module to w, with its twin. All are of
// one moment. Without keys, symmetric keys are null. If there is an error, lines
// are missing.
func (c *Client) Export(ctx context.Context, w io.Writer, keys bool) error {
	r := get("$hubtwin", "export")
	if !keys {
		r.query = url.Values{"keys": {"false"}}
	}
	res, err := c.begin(ctx, r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("read the export of %s: %w", c.host, err)
	}
	return nil
}

// begin makes a call whose answer is a stream. The caller closes its body.
func (c *Client) begin(ctx context.Context, r request) (*http.Response, error) {
	req, err := c.prepare(ctx, r)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxImportAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", c.host, err)
	}
	return nil, newError(res.StatusCode, res.Header, body)
}
