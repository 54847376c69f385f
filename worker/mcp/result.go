package mcp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"hermes/supervisor/sandbox"
)

// The images of a result that are passed on: how many, and how large in bytes.
const (
	maxImages     = 5
	maxImageBytes = 3_750_000
)

// render makes text of the result of a call, and takes images along that models
// may see. What is neither is named.
func render(answer *sdk.CallToolResult) Result {
	var parts []string
	var images []Image
	for _, content := range answer.Content {
		if image, ok := content.(*sdk.ImageContent); ok && len(images) < maxImages && showable(image) {
			images = append(images, Image{image.MIMEType, image.Data})
			parts = append(parts, fmt.Sprintf("[an image (%s, %s), which follows]", image.MIMEType, size(len(image.Data))))
			continue
		}
		if part := renderContent(content); part != "" {
			parts = append(parts, part)
		}
	}
	if answer.StructuredContent != nil && !says(answer, answer.StructuredContent) {
		if encoded, err := json.Marshal(answer.StructuredContent); err == nil {
			parts = append(parts, string(encoded))
		}
	}
	text := strings.Join(parts, "\n")
	if text == "" {
		text = "(no output)"
	}
	return Result{Text: printable(text), Failed: answer.IsError, Images: images}
}

// showable reports whether an image is what it says, of a kind that models take,
// and not too large.
func showable(image *sdk.ImageContent) bool {
	switch image.MIMEType {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return len(image.Data) <= maxImageBytes && http.DetectContentType(image.Data) == image.MIMEType
	default:
		return false
	}
}

// says reports whether a text of the result is the structured content already, as
// it should be for clients that know texts only.
func says(answer *sdk.CallToolResult, structured any) bool {
	for _, content := range answer.Content {
		text, isText := content.(*sdk.TextContent)
		var value any
		if isText && json.Unmarshal([]byte(text.Text), &value) == nil && reflect.DeepEqual(value, structured) {
			return true
		}
	}
	return false
}

func renderContent(content sdk.Content) string {
	switch content := content.(type) {
	case *sdk.TextContent:
		return content.Text
	case *sdk.ImageContent:
		return fmt.Sprintf("[an image (%s, %s) that cannot be shown here]", oneLine(content.MIMEType), size(len(content.Data)))
	case *sdk.AudioContent:
		return fmt.Sprintf("[a sound (%s, %s) that cannot be played here]", oneLine(content.MIMEType), size(len(content.Data)))
	case *sdk.ResourceLink:
		line := "[resource " + oneLine(content.Name) + ": " + oneLine(content.URI)
		if content.MIMEType != "" {
			line += " (" + oneLine(content.MIMEType) + ")"
		}
		if content.Description != "" {
			line += ", " + oneLine(content.Description)
		}
		return line + "]"
	case *sdk.EmbeddedResource:
		switch r := content.Resource; {
		case r == nil:
			return ""
		case r.Blob != nil:
			return fmt.Sprintf("[resource %s (%s, %s) that is no text]", oneLine(r.URI), oneLine(r.MIMEType), size(len(r.Blob)))
		default:
			return "[resource " + oneLine(r.URI) + "]\n" + r.Text
		}
	default:
		return fmt.Sprintf("[a part of a kind that is not known here: %T]", content)
	}
}

func oneLine(text string) string {
	const most = 300
	return strings.Join(strings.Fields(cleanText(text, most)), " ")
}

func size(bytes int) string {
	if bytes < 10_000 {
		return fmt.Sprintf("%d bytes", bytes)
	}
	return fmt.Sprintf("%d kB", bytes/1000)
}

// printable takes out control characters and the sequences of terminals.
func printable(text string) string {
	var clean strings.Builder
	cleaner := sandbox.Cleaner{To: &clean}
	_, _ = cleaner.Write([]byte(text)) // a builder takes everything
	_ = cleaner.Flush()
	return clean.String()
}
