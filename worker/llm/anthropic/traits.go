package anthropic

import (
	"strconv"
	"strings"
)

// traits is what a model's version tells of what it takes.
type traits struct {
	// thinks says whether the model can think at all; adaptive, that it decides
	// itself how much, and takes an effort instead of a budget; always, that it
	// thinks unless it is told not to.
	thinks, adaptive, always bool
	sampling                 bool // temperature and top_p may be set
	xhigh                    bool // an effort of that name is known
	formats                  bool // answers can be held to a JSON schema
}

// traitsOf reads the version out of a model's id. The rules are those of
// https://platform.claude.com/docs/en/build-with-claude/thinking and of the
// migration guides: a budget from 3.7 on, adaptive since 4.6, no sampling since
// 4.7, thinking without being asked since 5; schemas since 4.5. A Claude without
// a version is taken for a new one, and what is no Claude for one of the old
// that others imitate.
func traitsOf(model string) traits {
	model = strings.ToLower(model[strings.LastIndexByte(model, '/')+1:])
	rest, claude := strings.CutPrefix(model, "claude-")
	if !claude {
		return traits{thinks: true, sampling: true}
	}
	v, known := versionIn(rest)
	if !known {
		v = 500
	}
	return traits{
		thinks: v >= 307, adaptive: v >= 406, always: v >= 500,
		sampling: v < 407, xhigh: v >= 407, formats: v >= 405,
	}
}

// versionIn finds the version in a name such as sonnet-4-5-20250929, as 405. The
// numbers stand before or after the name of the family; a date is none.
func versionIn(name string) (int, bool) {
	var numbers []int
	for word := range strings.SplitSeq(name, "-") {
		n, err := strconv.Atoi(word)
		switch {
		case err == nil && len(word) <= 2:
			numbers = append(numbers, n)
		case len(numbers) > 0:
			return join(numbers), true
		}
	}
	return join(numbers), len(numbers) > 0
}

func join(numbers []int) int {
	switch len(numbers) {
	case 0:
		return 0
	case 1:
		return numbers[0] * 100
	default:
		return numbers[0]*100 + numbers[1]
	}
}
