package obs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds of the HTTP server.
const (
	checkTimeout      = 5 * time.Second // of all readiness checks together
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	shutdownTimeout   = 5 * time.Second
	maxHeaderBytes    = 16 << 10
	maxScrapes        = 8 // metrics requests at once
	stateOK           = "ok"
	stateFailed       = "failed"
	contentTypeJSON   = "application/json; charset=utf-8"
	headerContentType = "Content-Type"
)

// Check is a condition of readiness.
type Check struct {
	Name string // "replica.caught_up"
	// Func returns nil when the condition holds, and an error as soon as the context ends. The error's text is shown to
	// whoever asks.
	Func func(ctx context.Context) error
}

// NewRegistry returns a registry of metrics that has those of the Go runtime, the process and the build.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	)
	return r
}

// Handler serves
//
//	/livez    200 while the process answers
//	/readyz   200 when every check holds, else 503; a Health in JSON either way
//	/metrics  the registry, in the formats of Prometheus
func Handler(registry *prometheus.Registry, checks []Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeHealth(w, Health{Status: stateOK, Checks: []CheckResult{}})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		writeHealth(w, RunChecks(r.Context(), checks))
	})
	mux.Handle("GET /metrics", promhttp.InstrumentMetricHandler(registry, promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes,
		Timeout:             readTimeout,
		Registry:            registry,
	})))
	return mux
}

// Health is the body of /readyz and /livez.
type Health struct {
	Status string        `json:"status"` // "ok" or "failed"
	Checks []CheckResult `json:"checks"`
}

// CheckResult is the outcome of one check.
type CheckResult struct {
	Name  string `json:"name"`
	State string `json:"state"`           // "ok" or "failed"
	Error string `json:"error,omitempty"` // why it failed
}

// RunChecks runs all checks at once and waits for them, but no longer than five seconds: one that has not returned by then
// has failed.
func RunChecks(ctx context.Context, checks []Check) Health {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	health := Health{Status: stateOK, Checks: make([]CheckResult, len(checks))}
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() {
			result := CheckResult{Name: c.Name, State: stateOK}
			if err := runCheck(ctx, c); err != nil {
				result.State, result.Error = stateFailed, err.Error()
			}
			health.Checks[i] = result
		})
	}
	wg.Wait()
	for _, r := range health.Checks {
		if r.State != stateOK {
			health.Status = stateFailed
		}
	}
	return health
}

func runCheck(ctx context.Context, c Check) error {
	done := make(chan error, 1) // a check that ignores its context ends into the buffer
	go func() { done <- c.Func(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer: %w", ctx.Err())
	}
}

func writeHealth(w http.ResponseWriter, h Health) {
	w.Header().Set(headerContentType, contentTypeJSON)
	w.Header().Set("Cache-Control", "no-store")
	if h.Status != stateOK {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(h) // the client has gone if this fails
}

// ServeHTTP serves the handler on the listener until the context ends, then lets running requests finish for some seconds.
// It closes the listener. It returns nil after a shutdown.
func ServeHTTP(ctx context.Context, l net.Listener, h http.Handler, logger *slog.Logger) error {
	server := &http.Server{
		Handler:           h,
		ReadTimeout:       readTimeout,
		ReadHeaderTimeout: readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := server.Shutdown(grace)
	if err != nil {
		err = errors.Join(fmt.Errorf("shut down HTTP on %s: %w", l.Addr(), err), server.Close())
	}
	<-served
	return err
}
