package agent

import (
	"encoding/base64"
	"fmt"

	"hermes/worker/llm"
	"hermes/worker/tools"
)

// What tools may show in one turn. The images are kept with the transcript of the
// turn, once, so this also bounds what a turn leaves behind.
const (
	maxTurnImages     = 20
	maxTurnImageBytes = 8 << 20
)

// toolMessage is a call's result as the model reads it.
func (l *loop) toolMessage(call llm.ToolCall, result tools.Result) llm.Message {
	message := llm.TextMessage(llm.Tool, result.Text)
	message.ToolCallID = call.ID
	for _, image := range result.Images {
		l.images++
		l.imageBytes += len(image.Data)
		if l.images > maxTurnImages || l.imageBytes > maxTurnImageBytes {
			message.Parts = append(message.Parts, llm.Part{Text: fmt.Sprintf(
				"\n[The image is not shown: tools may show %d images of %d MiB together in one turn. Tell the person, who can ask for the others next.]", maxTurnImages, maxTurnImageBytes>>20)})
			break
		}
		data := "data:" + image.MIME + ";base64," + base64.StdEncoding.EncodeToString(image.Data)
		message.Parts = append(message.Parts, llm.Part{ImageURL: data})
	}
	return message
}
