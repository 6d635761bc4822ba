package httpapi

import "github.com/hubtwin/hubtwin/job"

// MaxJobBody bounds the body of POST /jobs/create, in bytes: it has two URIs.
const MaxJobBody = 32 << 10

// createJob serves POST /jobs/create.
func (a *api) createJob(c *call) (*answer, error) {
	body, err := c.body(MaxJobBody)
	if err != nil {
		return nil, err
	}
	want, err := job.ParseRequest(body)
	if err != nil {
		return nil, err
	}
	r, err := a.Jobs.Create(c.Context(), c.who, want)
	if err != nil {
		return nil, err
	}
	return ok(r.AppendJSON(nil)), nil
}

// listJobs serves GET /jobs.
func (a *api) listJobs(c *call) (*answer, error) {
	records, err := a.Jobs.List(c.who)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return ok([]byte("[]")), nil
	}
	ans := ok(nil)
	for _, r := range records {
		ans.rows = append(ans.rows, r.AppendJSON(nil))
	}
	return ans, nil
}

// getJob serves GET /jobs/{id}.
func (a *api) getJob(c *call) (*answer, error) {
	r, err := a.Jobs.Get(c.who, c.id.Device)
	if err != nil {
		return nil, err
	}
	return ok(r.AppendJSON(nil)), nil
}

// cancelJob serves DELETE /jobs/{id}.
func (a *api) cancelJob(c *call) (*answer, error) {
	if err := a.Jobs.Cancel(c.who, c.id.Device); err != nil {
		return nil, err
	}
	return noContent(), nil
}
