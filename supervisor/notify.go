package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// notifyLimit is how long the loop waits for a service manager that does not
	// read.
	notifyLimit = 50 * time.Millisecond
	// extension is how long the service manager is asked to wait further while
	// workers start or drain. It is asked again at every pulse.
	extension = 30 * time.Second
)

// manager is the service manager that has started this process, by the protocol
// of sd_notify: datagrams of lines to the socket that NOTIFY_SOCKET names. It
// belongs to the reconcile loop, so that a loop which hangs is not said to live.
// Workers never see the variable: see handoff.Environ.
type manager struct {
	conn     *net.UnixConn // nil: nobody wants to know
	watchdog time.Duration // how often it wants a sign of life; 0 is never
	log      *slog.Logger

	ready, stopping bool // has been said
	again           bool // it was ready before it became another program
	status          string
	lastSign        time.Time
}

// findManager reads the environment, a list as os.Environ gives it. A socket that
// cannot be reached is logged and does not stop anything.
func findManager(environ []string, log *slog.Logger) *manager {
	m := &manager{log: log}
	at := variable(environ, "NOTIFY_SOCKET")
	if at == "" {
		return m
	}
	if !strings.HasPrefix(at, "/") && !strings.HasPrefix(at, "@") { // @ is an abstract one
		log.Warn("service manager cannot be told anything: NOTIFY_SOCKET is no path of a socket", "socket", at)
		return m
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: at, Net: "unixgram"})
	if err != nil {
		log.Warn("service manager cannot be told anything", "error", err)
		return m
	}
	m.conn = conn
	if pid := variable(environ, "WATCHDOG_PID"); pid == "" || pid == strconv.Itoa(os.Getpid()) {
		if n, err := strconv.ParseInt(variable(environ, "WATCHDOG_USEC"), 10, 64); err == nil && n > 0 {
			m.watchdog = time.Duration(n) * time.Microsecond
		}
	}
	return m
}

func variable(environ []string, name string) string {
	for _, entry := range environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// tell says how the fleet stands, as far as that is news.
func (m *manager) tell(f *fleet, now time.Time) {
	if m.conn == nil {
		return
	}
	starting, status := f.standing()
	var lines []string
	if m.watchdog > 0 && now.Sub(m.lastSign) >= m.watchdog/3 {
		lines = append(lines, "WATCHDOG=1")
	}
	if starting || f.stopping {
		lines = append(lines, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", extension.Microseconds()))
	}
	ready, stopping := m.ready || m.again || !starting, f.stopping
	if ready && !m.ready && !stopping {
		lines = append(lines, "READY=1")
	}
	if stopping && !m.stopping {
		lines = append(lines, "STOPPING=1")
	}
	if status != m.status {
		lines = append(lines, "STATUS="+status)
	}
	if len(lines) == 0 || !m.send(strings.Join(lines, "\n")) {
		return // what was not sent is said at the next pulse
	}
	m.ready, m.stopping, m.status = ready, stopping, status
	if strings.HasPrefix(lines[0], "WATCHDOG") {
		m.lastSign = now
	}
}

// reloading says that this process is going to be another program, in a moment. It
// is ready again when tell says so.
func (m *manager) reloading() {
	if m.conn == nil || !m.ready {
		return
	}
	text := "RELOADING=1"
	if now, ok := monotonic(); ok { // as Type=notify-reload wants it
		text += fmt.Sprintf("\nMONOTONIC_USEC=%d", now.Microseconds())
	}
	m.ready, m.again = false, true
	m.send(text)
}

func (m *manager) send(text string) bool {
	err := m.conn.SetWriteDeadline(time.Now().Add(notifyLimit))
	if err == nil {
		_, err = m.conn.Write([]byte(text))
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		m.log.Warn("service manager cannot be told anything any more", "error", err)
		m.close()
	}
	return err == nil
}

func (m *manager) close() {
	if m.conn != nil {
		_ = m.conn.Close()
		m.conn = nil
	}
}

// standing sums up the members in a line, and says whether any of them has yet to
// show whether it can be served. A profile with bad settings holds up nobody.
func (f *fleet) standing() (starting bool, status string) {
	served, wanted := 0, 0
	var troubled []string
	for _, m := range f.members {
		switch m.state {
		case StateReady, StateSleeping:
			served++
			wanted++
		case StateStarting:
			starting = true
			wanted++
		case StateDraining:
			wanted++
		case StateBackoff, StateBlocked, StateBadConfig:
			wanted++
			troubled = append(troubled, fmt.Sprintf("%s (%s)", m.profile.Name, m.state))
		default: // one that nobody wants served
			starting = starting || m.loaded == ""
		}
	}
	if f.stopping {
		return false, fmt.Sprintf("%d workers finish their turns", f.busy())
	}
	status = fmt.Sprintf("%d of %d profiles are served", served, wanted)
	if len(troubled) > 0 {
		status += "; in trouble: " + strings.Join(troubled[:min(len(troubled), 5)], ", ")
	}
	return starting, status
}

// busy counts the workers that are still there.
func (f *fleet) busy() int {
	n := 0
	for _, m := range f.members {
		n += len(m.running)
	}
	return n
}
