package worker

import (
	"context"
	"errors"

	"hermes/worker/office"
)

// readDocument returns the text of an Office document or a notebook that came over
// HTTP, if the data is one.
func (w *worker) readDocument(ctx context.Context, name string, data []byte, limit int) (text string, found bool, err error) {
	text, err = w.office.Text(ctx, name, data, limit)
	if errors.Is(err, office.ErrOther) {
		return "", false, nil
	}
	return text, err == nil, err
}
