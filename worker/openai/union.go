package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
)

// Kind says which of its forms a Content has.
type Kind uint8

// The forms of a Content.
const (
	Null   Kind = iota // null, or no content at all
	Plain              // a string
	Parted             // an array of parts
)

// Content is the content of a message: a string, an array of parts, or null.
// The zero value is null.
type Content struct {
	Kind  Kind
	Text  string // of Plain
	Parts []Part // of Parted
}

// TextContent makes the Content that is a string.
func TextContent(text string) Content { return Content{Kind: Plain, Text: text} }

// IsZero reports whether there is no content, so that deltas can leave it out.
func (c Content) IsZero() bool { return c.Kind == Null }

// String returns the text of all parts, one after the other.
func (c Content) String() string {
	if c.Kind != Parted {
		return c.Text
	}
	var text []byte
	for _, part := range c.Parts {
		text = append(text, part.Text...)
	}
	return string(text)
}

// MarshalJSON writes the form that the content has.
func (c Content) MarshalJSON() ([]byte, error) {
	switch c.Kind {
	case Plain:
		return plainly(c.Text)
	case Parted:
		return json.Marshal(c.Parts)
	default:
		return []byte("null"), nil
	}
}

// UnmarshalJSON reads any of the forms.
func (c *Content) UnmarshalJSON(data []byte) error {
	*c = Content{}
	switch first(data) {
	case 'n':
		return nil
	case '"':
		c.Kind = Plain
		return json.Unmarshal(data, &c.Text)
	case '[':
		c.Kind = Parted
		return json.Unmarshal(data, &c.Parts)
	default:
		return errors.New("must be a string or an array of parts")
	}
}

// The types of parts. Those of the Responses API are accepted in chat requests
// too, because several frontends use one converter for both.
const (
	PartText       = "text"
	PartInputText  = "input_text"
	PartOutputText = "output_text"
	PartRefusal    = "refusal"
	PartImageURL   = "image_url"
	PartInputImage = "input_image"
	PartFile       = "file"
	PartInputFile  = "input_file"
)

// Part is one piece of a message's content.
type Part struct {
	Type string `json:"type"`
	// Text is the text of text, input_text and output_text.
	Text string `json:"text"`
	// ImageURL is the image of image_url and input_image.
	ImageURL *ImageURL `json:"image_url"`
	// Detail is the resolution hint of input_image; image_url has it inside.
	Detail string `json:"detail"`
	// File is the file of a part of that type. The fields behind it are those of
	// input_file.
	File     *File  `json:"file"`
	Filename string `json:"filename"`
	FileData string `json:"file_data"`
	FileID   string `json:"file_id"`
	FileURL  string `json:"file_url"`
}

// File is a file in a message. FileData is a data URI or bare base64; FileID names
// a file that the server keeps.
type File struct {
	Filename string `json:"filename"`
	FileData string `json:"file_data"`
	FileID   string `json:"file_id"`
}

// MarshalJSON writes the keys that belong to the part's type and no other ones.
func (p Part) MarshalJSON() ([]byte, error) {
	if p.ImageURL != nil {
		return plainly(struct {
			Type     string    `json:"type"`
			ImageURL *ImageURL `json:"image_url"`
		}{p.Type, p.ImageURL})
	}
	return plainly(struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}{p.Type, p.Text})
}

// ImageURL points to an image, by an http(s) URL or a data URI.
type ImageURL struct {
	URL    string `json:"url"`
	Detail string `json:"detail,omitempty"`
}

// UnmarshalJSON reads an object, or the bare URL that the Responses API and
// several clients use.
func (u *ImageURL) UnmarshalJSON(data []byte) error {
	*u = ImageURL{}
	if first(data) == '"' {
		return json.Unmarshal(data, &u.URL)
	}
	type plain ImageURL
	return json.Unmarshal(data, (*plain)(u))
}

// Arguments is the text of a call's arguments as the model wrote it. It need
// not be valid JSON.
type Arguments string

// UnmarshalJSON reads a string, or takes the object that some servers send
// instead as it is.
func (a *Arguments) UnmarshalJSON(data []byte) error {
	switch first(data) {
	case 'n':
		return nil
	case '"':
		return json.Unmarshal(data, (*string)(a))
	default:
		*a = Arguments(data)
		return nil
	}
}

// Stop is a list of texts at which a model ends its answer. A single string is
// read as a list of one.
type Stop []string

// UnmarshalJSON reads a string or an array of strings.
func (s *Stop) UnmarshalJSON(data []byte) error {
	*s = nil
	if first(data) == '"' {
		*s = make(Stop, 1)
		return json.Unmarshal(data, &(*s)[0])
	}
	return json.Unmarshal(data, (*[]string)(s))
}

// ToolChoice says which tool a model must call: Mode is none, auto or required;
// with a Name it is that function. The zero value leaves it to the server.
type ToolChoice struct {
	Mode string
	Name string
}

// IsZero reports whether nothing was chosen.
func (t ToolChoice) IsZero() bool { return t == ToolChoice{} }

// MarshalJSON writes a string, or the object that names a function.
func (t ToolChoice) MarshalJSON() ([]byte, error) {
	if t.Name == "" {
		return json.Marshal(t.Mode)
	}
	return json.Marshal(map[string]any{"type": "function", "function": map[string]string{"name": t.Name}})
}

// UnmarshalJSON reads a string or an object. Objects that name no function,
// such as a list of allowed tools, are kept by their type as the Mode.
func (t *ToolChoice) UnmarshalJSON(data []byte) error {
	*t = ToolChoice{}
	switch first(data) {
	case 'n':
		return nil
	case '"':
		return json.Unmarshal(data, &t.Mode)
	case '{':
		var object struct {
			Type     string `json:"type"`
			Name     string `json:"name"`
			Function struct {
				Name string `json:"name"`
			} `json:"function"`
		}
		if err := json.Unmarshal(data, &object); err != nil {
			return err
		}
		t.Mode, t.Name = object.Type, object.Function.Name
		if t.Name == "" {
			t.Name = object.Name
		}
		return nil
	default:
		return errors.New("must be a string or an object")
	}
}

// Number is a count or a time that some servers send as a float or a string.
type Number int64

// UnmarshalJSON reads an integer, cuts a float, and takes everything else as 0:
// no answer is worth losing over a count.
func (n *Number) UnmarshalJSON(data []byte) error {
	*n = 0
	text := string(bytes.Trim(data, `"`))
	if whole, err := strconv.ParseInt(text, 10, 64); err == nil {
		*n = Number(whole)
		return nil
	}
	if float, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(float) < math.MaxInt64 {
		*n = Number(float)
	}
	return nil
}

// plainly encodes without escaping <, > and &, which is of use in HTML only and
// would undo what an encoder further out was told.
func plainly(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// first returns the first byte of a JSON value, 0 if there is none. Values that
// are given to UnmarshalJSON have no white space around them.
func first(data []byte) byte {
	if len(data) == 0 {
		return 0
	}
	return data[0]
}
