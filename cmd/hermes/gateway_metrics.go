package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"hermes/supervisor"
)

type gatewayMetricsOptions struct {
	*app
}

func newGatewayMetricsCmd(a *app) *cobra.Command {
	opts := &gatewayMetricsOptions{app: a}
	return &cobra.Command{
		Use:   "metrics",
		Short: "Print how the workers are, for Prometheus",
		Long: `Print states, restarts and memory of all workers of the running gateways, in the
text format of Prometheus. A scraper that speaks HTTP over a Unix socket gets
the same from /metrics of the control socket in run/ of the home. What a profile
itself counts (turns, tokens, tools) is at /metrics of its API.`,
		Example: `  hermes gateway metrics
  hermes gateway metrics > /var/lib/node_exporter/hermes.prom.new && mv /var/lib/node_exporter/hermes.prom.new /var/lib/node_exporter/hermes.prom`,
		Args: words(),
		RunE: func(cmd *cobra.Command, _ []string) error { return gatewayMetricsRun(cmd.Context(), opts) },
	}
}

func gatewayMetricsRun(ctx context.Context, opts *gatewayMetricsOptions) error {
	home, err := opts.home()
	if err != nil {
		return err
	}
	end := opts.progress(ctx, func() string { return "asking the gateway" })
	list, err := opts.gateways(ctx, home)
	end()
	if err != nil {
		return err
	}
	opts.warnHung(list)
	var answered []supervisor.Status
	for _, gateway := range list {
		if gateway.hung == nil {
			answered = append(answered, gateway.Status)
		}
	}
	return supervisor.WriteMetrics(opts.out, time.Now(), answered...)
}
