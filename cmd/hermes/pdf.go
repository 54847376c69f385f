package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"hermes/worker/pdf"
)

type pdfOptions struct {
	*app
	limit int
}

// newPDFCmd is what a worker starts for each PDF document that a client sends.
func newPDFCmd(a *app) *cobra.Command {
	opts := &pdfOptions{app: a}
	return &cobra.Command{
		Use:     pdf.Subcommand + " LIMIT",
		Short:   "Write the text of the PDF document on standard input; started by workers",
		Example: "  hermes pdf 1000000 < report.pdf",
		Hidden:  true,
		Args:    words("LIMIT"),
		RunE: func(_ *cobra.Command, args []string) (err error) {
			if opts.limit, err = strconv.Atoi(args[0]); err != nil || opts.limit < 0 {
				return usagef("LIMIT must be a number of bytes, not %q", args[0])
			}
			return pdfRun(opts)
		},
	}
}

// pdfRun reads the document. What is wrong with it is a line without anything
// around it, as the worker reads it.
func pdfRun(opts *pdfOptions) error {
	if err := pdf.Main(opts.in, opts.out, opts.limit); err != nil {
		fmt.Fprintln(opts.err, err)
		return silent(exitFailure)
	}
	return nil
}
