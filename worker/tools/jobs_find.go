package tools

import (
	"context"
	"maps"
	"strings"
)

// list returns all jobs, the newest first, without their output.
func (js *jobs) list(ctx context.Context) ([]Job, error) {
	kept, err := js.records.Jobs(ctx)
	js.mu.Lock()
	defer js.mu.Unlock()
	all := make(map[string]Job, len(kept))
	for _, job := range kept {
		all[job.ID] = job
	}
	maps.Copy(all, js.unsaved)
	for id, j := range js.running {
		all[id] = j.begun
	}
	for id := range js.seen {
		if _, known := all[id]; !known && err == nil {
			delete(js.seen, id)
		}
	}
	return (&memoryJobs{jobs: all}).sorted(), err
}

// find returns the job that a model means. Live is nil when it runs no more; the
// record has its output then. The problem is for the model.
func (js *jobs) find(ctx context.Context, name string) (live *job, record Job, problem string) {
	name = strings.TrimSpace(name)
	if name == "" {
		return nil, Job{}, "The argument session_id is missing. process list gives the ids of the jobs."
	}
	all, err := js.list(ctx)
	var found []Job
	for _, job := range all {
		if job.ID == name {
			found = []Job{job}
			break
		}
		if strings.HasPrefix(job.ID, name) || strings.HasPrefix(job.ID, jobPrefix+name) {
			found = append(found, job)
		}
	}
	switch {
	case len(found) == 0 && err != nil:
		return nil, Job{}, "The records of the jobs cannot be read: " + err.Error() + "."
	case len(found) == 0:
		return nil, Job{}, "There is no job " + shorten(name) + ". process list gives those that there are."
	case len(found) > 1:
		var ids []string
		for _, job := range found {
			ids = append(ids, job.ID)
		}
		return nil, Job{}, shorten(name) + " is the beginning of several ids: " + strings.Join(ids, ", ") + "."
	}
	id := found[0].ID
	js.mu.Lock()
	live = js.running[id]
	record, unsaved := js.unsaved[id]
	js.mu.Unlock()
	switch {
	case live != nil:
		return live, live.begun, ""
	case unsaved:
		return nil, record, ""
	}
	if record, err = js.records.Job(ctx, id); err != nil {
		return nil, Job{}, "The record of " + id + " cannot be read: " + err.Error() + "."
	}
	return nil, record, ""
}

// news returns what a job has written since the last time it was asked for.
func (js *jobs) news(id string, v view) string {
	js.mu.Lock()
	defer js.mu.Unlock()
	text := v.since(js.seen[id])
	js.seen[id] = v.received
	return text
}
