package sandbox

import "runtime"

// Thread is one thread of this process, for as long as that lives. A process whose
// threads have come behind Landlock one by one has as many domains of it as threads,
// and none may signal or look into what another one has started: so all children are
// to be started, and ended, by the same. The nil Thread is any.
type Thread struct{ work chan func() }

// NewThread takes a thread.
func NewThread() *Thread {
	t := &Thread{work: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for f := range t.work {
			f()
		}
	}()
	return t
}

// Do has the thread do something, and returns when it is done. What it does must not
// call Do.
func (t *Thread) Do(f func()) {
	if t == nil {
		f()
		return
	}
	done := make(chan struct{})
	t.work <- func() {
		defer close(done)
		f()
	}
	<-done
}
