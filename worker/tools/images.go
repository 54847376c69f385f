package tools

import (
	"encoding/binary"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"os"
	"strings"
)

// What is shown to a model of an image at most. Anthropic refuses images of more
// than 5 MB in base64, and of more pixels to a side:
// https://platform.claude.com/docs/en/build-with-claude/vision.
const (
	maxImageBytes = 3_750_000
	maxImageSide  = 8_000
)

// picture is an image that was found in a file or on the web.
type picture struct {
	format        string // png, jpeg, gif or webp
	width, height int
}

// pictureIn looks at the beginning of what may be an image. There is none in what
// has another format, or is damaged.
func pictureIn(in io.ReaderAt, size int64) (picture, bool) {
	media := http.DetectContentType(headOf(in))
	reader := io.NewSectionReader(in, 0, min(size, maxImageBytes))
	var config image.Config
	var err error
	switch media {
	case "image/png":
		config, err = png.DecodeConfig(reader)
	case "image/jpeg":
		config, err = jpeg.DecodeConfig(reader)
	case "image/gif":
		config, err = gif.DecodeConfig(reader)
	case "image/webp":
		config.Width, config.Height = webpSize(headOf(in))
	}
	found := picture{strings.TrimPrefix(media, "image/"), config.Width, config.Height}
	return found, err == nil && found.width > 0 && found.height > 0
}

// show makes the result that shows an image, or says why it does not.
func (p picture) show(name string, data []byte, size int64) Result {
	text := fmt.Sprintf("%s is an image: %s, %d × %d pixels, %d bytes.", name, p.format, p.width, p.height, size)
	if size > maxImageBytes || max(p.width, p.height) > maxImageSide {
		return Failure(fmt.Sprintf("%s It is too large to be shown: %d bytes and %d pixels to a side are the limits. Make a smaller copy of it in the terminal and read that.",
			text, maxImageBytes, maxImageSide))
	}
	return Result{Text: text + " It follows.\n", Images: []Image{{MIME: "image/" + p.format, Data: data}}}
}

// image returns what shows the image in a file, nil if there is none in it.
func (t *readFile) image(path string, file *os.File, size int64) (*Result, error) {
	found, ok := pictureIn(file, size)
	if !ok {
		return nil, nil
	}
	data := make([]byte, min(size, maxImageBytes))
	if n, err := file.ReadAt(data, 0); n < len(data) {
		return nil, err
	}
	result := found.show(path, data, size)
	return &result, nil
}

// webpSize reads the size of a WebP image, in any of its three forms:
// https://developers.google.com/speed/webp/docs/riff_container.
func webpSize(b []byte) (width, height int) {
	if len(b) < 30 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WEBP" {
		return 0, 0
	}
	switch string(b[12:16]) {
	case "VP8 ":
		if b[23] != 0x9d || b[24] != 0x01 || b[25] != 0x2a {
			return 0, 0
		}
		width, height = int(binary.LittleEndian.Uint16(b[26:])&0x3fff), int(binary.LittleEndian.Uint16(b[28:])&0x3fff)
	case "VP8L":
		if b[20] != 0x2f {
			return 0, 0
		}
		bits := binary.LittleEndian.Uint32(b[21:])
		width, height = int(bits&0x3fff)+1, int(bits>>14&0x3fff)+1
	case "VP8X":
		three := func(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
		width, height = three(b[24:])+1, three(b[27:])+1
	}
	return width, height
}
