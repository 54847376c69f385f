package agent

import (
	"context"
	"slices"

	"hermes/worker/llm"
)

// When and by how much a transcript is made short. Shares are of what is free for
// messages: the window without what is kept for the answer, the prompt and the tools.
const (
	shortAt     = 0.60 // old results of tools become one line each
	shortTo     = 0.50 // if that leaves so little; else a summary is due soon, and one new beginning is enough
	summaryAt   = 0.80 // what is old is summarised
	dropAt      = 1.00 // what is old is left out, if no summary was to be had
	shownShare  = 0.25 // of the newest results stay
	tailShare   = 0.30 // of the newest messages stay
	savingShare = 0.30 // less is not worth another beginning of all requests to come

	maxShown   = 40_000 // tokens of the newest results
	maxSaving  = 20_000 // tokens that are worth it in any case
	maxReserve = 16_384 // tokens for the answer, unless the client wants more
	// usualReserve is kept for the answer of a model of which no limit is known.
	usualReserve = 8_192
	// askFrom is how long a conversation must be before its provider is asked how
	// long the model's window is.
	askFrom = 2_000
	// maxSummaries is how many summaries one turn may cost.
	maxSummaries = 2
	// leastCap is what is left of a result at least.
	leastCap = 600

	firstShare = 0.25 // of the person's first message at most
	saidShare  = 0.12 // of the others that are cited
	tasksShare = 0.10 // of the open tasks
	oldShare   = 0.15 // of a summary, which may turn out twice as long
)

// room is what a model's window leaves for a transcript, in tokens as it counts.
type room struct {
	usable int // of a request
	free   int // of its messages but the system's
	reply  int // kept for the answer
	ratio  float64
}

// estimated turns tokens of the model into estimated ones.
func (r room) estimated(share float64) int { return int(share * float64(r.free) / r.ratio) }

// room is false if nobody knows how long the window is.
func (l *loop) room(ctx context.Context) (room, bool) {
	if l.talk.tokens < askFrom { // nobody is asked then, see llm.Capable
		ended, cancel := context.WithCancel(ctx)
		cancel()
		ctx = ended
	}
	can := llm.CapabilitiesOf(ctx, l.agent.opts.Client)
	window := can.ContextLength
	if limit := l.agent.known.window(can.Upstream, l.agent.opts.Now()); limit > 0 && (window == 0 || limit < window) {
		window = limit
	}
	if window <= 0 {
		return room{}, false
	}
	reply := l.params.MaxTokens
	if reply <= 0 {
		if reply = can.OutputLimit; reply <= 0 {
			reply = usualReserve
		}
		reply = min(reply, maxReserve)
	}
	r := room{reply: min(reply, window/4), ratio: l.agent.known.ratio()}
	r.usable = window - r.reply
	fixed := int(r.ratio * float64(l.toolTokens+tokensOfAll(l.talk.system)))
	r.free = max(r.usable-fixed, r.usable/8) // not to give up on a window that is too small
	return r, true
}

// fill is how much of what is free the next request takes, 1 being all of it.
func (l *loop) fill(r room) float64 {
	return 1 - float64(r.usable-l.size())/float64(r.free)
}

// fit makes the transcript short before it does not fit any more, the cheapest way
// first.
func (l *loop) fit(ctx context.Context) error {
	r, known := l.room(ctx)
	if !known || l.fill(r) < shortAt {
		return nil
	}
	l.shorten(ctx, r, shortTo)
	if l.fill(r) >= summaryAt {
		if err := l.summarise(ctx, r); err != nil {
			return err
		}
	}
	if l.fill(r) >= dropAt {
		l.shorten(ctx, r, shortAt)
	}
	for level := 0; level < levels && l.fill(r) >= dropAt; level++ {
		l.drop(ctx, r, level)
	}
	return nil
}

// shorten makes one line of each old result, also of those of the turn that runs,
// if that saves enough and leaves no more than a share.
func (l *loop) shorten(ctx context.Context, r room, most float64) {
	shown, short, saving := min(r.estimated(shownShare), int(maxShown/r.ratio)), len(l.talk.all), 0
	last, behind := l.lastStep(), len(l.talk.view)-len(l.talk.all)
	for i := len(l.talk.all) - 1; i >= max(l.talk.done.Cut, l.talk.done.Short); i-- {
		if l.talk.all[i].Role != llm.Tool {
			continue
		}
		tokens := tokensOf(l.talk.view[behind+i])
		// The results of the last step stay, whatever their size.
		if shown -= tokens; shown < 0 && i < last {
			saving += tokens
		} else {
			short = i
		}
	}
	worth := min(r.estimated(savingShare), int(maxSaving/r.ratio))
	compaction := l.talk.done
	left := func(saved int) float64 { return l.fill(r) - float64(saved)*r.ratio/float64(r.free) }
	if saving < worth || left(saving) > most {
		return
	}
	compaction.Short = short
	if saved := l.saves(compaction); saved >= worth && left(saved) <= most {
		l.compact(ctx, compaction)
	}
}

// lastStep is where the last message of the model is.
func (l *loop) lastStep() int {
	for i := range slices.Backward(l.talk.all) {
		if l.talk.all[i].Role == llm.Assistant {
			return i
		}
	}
	return 0
}

// saves is how many estimated tokens fewer there would be.
func (l *loop) saves(compaction Compaction) int {
	compaction.Covered = max(compaction.Cut, compaction.Short, compaction.Capped)
	return l.talk.tokens - tokensOfAll(compaction.apply(l.talk.system, l.talk.all))
}

// cutFor is where to cut so that what stays has no more tokens than the budget, or
// as few as can be. It is before a message of the person, or within the newest turn
// before one of the model: a call stays with its result. It is 0 if there is no such
// place behind the cut before.
func (l *loop) cutFor(budget int) int {
	all := l.talk.all
	first, newest := firstUser(all), lastUser(all)
	if first < 0 {
		return 0
	}
	// The view ends with the messages from the cut on, one for one.
	behind := len(l.talk.view) - len(all)
	cut := 0
	for i := len(all) - 1; i > max(first, l.talk.done.Cut); i-- {
		budget -= tokensOf(l.talk.view[behind+i])
		if budget < 0 && cut > 0 {
			break
		}
		if all[i].FromPerson() || all[i].Role == llm.Assistant && i > newest {
			cut = i
		}
	}
	return cut
}

// levels are how hard it is tried to make room without a model, one after the other.
const levels = 4

// drop leaves out what is old, without a summary. Beyond the first level less and
// less stays, at the end the last step alone, with its results cut and no images.
func (l *loop) drop(ctx context.Context, r room, level int) bool {
	tail := []float64{tailShare, tailShare / 2, 0, 0}[level]
	compaction := l.talk.done
	if cut := max(compaction.Cut, l.cutFor(r.estimated(tail))); cut > 0 {
		without := compaction // or with a shorter reference, where there is less room than was known
		without.Cut, without.Dropped = cut, without.Dropped || cut > without.Cut
		if without = l.refer(ctx, r, without); l.saves(without) > 0 {
			compaction = without
		}
	}
	if level >= 2 {
		last := max(l.lastStep(), compaction.Cut)
		results := 1
		for i := last; i < len(l.talk.all); i++ {
			if l.talk.all[i].Role == llm.Tool {
				results++
			}
		}
		share := []float64{0.4, 0.2}[level-2]
		compaction.Blind = compaction.Blind || level == levels-1
		compaction.Short = max(compaction.Short, last)
		compaction.Capped = len(l.talk.all)
		compaction.Cap = max(leastCap, r.estimated(share)*bytesPerToken*denseBy/denseTimes/results)
	}
	if l.saves(compaction) <= 0 {
		return false
	}
	l.compact(ctx, compaction)
	return true
}

// refer makes the reference of a compaction that has another cut.
func (l *loop) refer(ctx context.Context, r room, compaction Compaction) Compaction {
	first := firstUser(l.talk.all)
	compaction.Head = 0
	if head := r.estimated(firstShare) * bytesPerToken; first != lastUser(l.talk.all) && len(l.talk.all[first].Text()) > head {
		compaction.Head = head
	}
	compaction.Summary = clipped(compaction.Summary, 2*r.estimated(oldShare)*bytesPerToken)
	compaction.Reference = reference(parts{
		summary: compaction.Summary,
		dropped: compaction.Dropped,
		said:    said(l.talk.all, first, compaction.Cut, r.estimated(saidShare)),
		tasks:   l.openTasks(ctx, r.estimated(tasksShare)*bytesPerToken),
	})
	return compaction
}
