package egress

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hermes/supervisor/egress/wire"
)

const (
	// drainLimit is how long what was begun may take when the process is to leave. A
	// stream ends before; a tunnel that a command holds open may not.
	drainLimit = time.Hour
	// usedEvery is how often the supervisor is told what was used.
	usedEvery = time.Second
	// tellLimit is how long it has to listen.
	tellLimit = time.Second
)

// Main is the process. It returns its exit code.
func Main() int {
	control, err := OpenControl(ControlFD)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hermes:", err)
		return 2
	}
	// A service manager may send signals to all processes of a service at once; when
	// this one leaves is its supervisor's to say. Of SIGPIPE the end of a supervisor
	// that was killed must not be the end of this process too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	conceal()
	s := NewServer(Options{Audit: os.Stdout})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	told := make(chan map[string]Used)
	go func() { told <- s.tell(ctx, control) }()
	s.obey(control)
	draining, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	s.Drain(draining)
	stop()
	s.report(control, <-told)
	return 0
}

// conceal keeps the keys out of core files, and the memory out of reach for other
// processes of the same user.
func conceal() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	_ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

// obey does what the supervisor asks for, until that is to leave. When the
// supervisor is gone, its workers may live on for a while, and need a way out.
func (s *Server) obey(control *Control) {
	for {
		o, file, err := control.Receive()
		var bad *wire.BadError
		switch {
		case errors.As(err, &bad):
			s.audit.note("ERROR", bad.Error())
			continue
		case err != nil:
			s.audit.note("INFO", "the supervisor is gone")
			for s.left() > 0 {
				<-s.gone
			}
			return
		case o.Do == DoDrain:
			return
		}
		if err := s.do(o, file); err != nil {
			s.audit.note("ERROR", "profile "+o.Profile+": "+err.Error())
		}
	}
}

func (s *Server) do(o Order, file *os.File) error {
	switch o.Do {
	case DoServe:
		r, err := wire.NewReceiver(file)
		if err != nil {
			return err
		}
		s.Resume(o.Profile, o.Used)
		return s.Serve(o.ID, o.Profile, *o.Table, r)
	case DoUpdate:
		return s.Update(o.ID, *o.Table)
	case DoForget:
		s.Forget(o.ID)
		return nil
	default:
		return errors.New("the supervisor asks for what this program does not know")
	}
}

// tell reports what is used, while it changes, and returns what it has told.
func (s *Server) tell(ctx context.Context, control *Control) (told map[string]Used) {
	told = map[string]Used{}
	ticker := time.NewTicker(usedEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.report(control, told)
		case <-ctx.Done():
			return told
		}
	}
}

// report tells what has changed since it was told.
func (s *Server) report(control *Control, told map[string]Used) {
	for profile, used := range s.Used() {
		if used == told[profile] || used.Bytes == 0 && used.Tokens == 0 {
			continue
		}
		if control.Send(Order{Do: DoUsed, Profile: profile, Used: used}, nil, tellLimit) == nil { // one that is gone does not want to know
			told[profile] = used
		}
	}
}
