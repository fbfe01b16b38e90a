// Evaluates PromQL with Prometheus's own engine over series that are given, and says at which times each query has a result.
//
// Input: {"queries": {NAME: PROMQL}, "series": {SERIES: [VALUE, …]}, "from": MINUTE, "to": MINUTE}, a line of JSON each on
// stdin, one value a minute. Output, a line each: {NAME: [MINUTE, …]}, the minutes at which the query's answer is not empty.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

type task struct {
	Queries map[string]string    `json:"queries"`
	Series  map[string][]float64 `json:"series"`
	From    int64                `json:"from"`
	To      int64                `json:"to"`
}

// What chunks and the engine read a sample by.
type sample struct {
	minute int64
	value  float64
}

func (s sample) T() int64                    { return s.minute * 60_000 }
func (s sample) F() float64                  { return s.value }
func (sample) H() *histogram.Histogram       { return nil }
func (sample) FH() *histogram.FloatHistogram { return nil }
func (sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample         { return s }

// The series of one task, all in memory.
type set struct {
	series []storage.Series
	next   int
}

func (s *set) Next() bool                      { s.next++; return s.next <= len(s.series) }
func (s *set) At() storage.Series              { return s.series[s.next-1] }
func (*set) Err() error                        { return nil }
func (*set) Warnings() annotations.Annotations { return nil }

func matching(all []storage.Series) storage.Queryable {
	find := func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		found := &set{}
	each:
		for _, one := range all {
			for _, matcher := range matchers {
				if !matcher.Matches(one.Labels().Get(matcher.Name)) {
					continue each
				}
			}
			found.series = append(found.series, one)
		}
		return found
	}
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{SelectMockFunction: find}}
}

func (t task) run(engine *promql.Engine) (map[string][]int64, error) {
	var all []storage.Series
	for name, values := range t.Series {
		metric, err := parser.ParseMetric(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		samples := make([]chunks.Sample, len(values))
		for minute, value := range values {
			samples[minute] = sample{int64(minute), value}
		}
		all = append(all, storage.NewListSeries(metric, samples))
	}
	found := map[string][]int64{}
	for name, text := range t.Queries {
		start, end := time.Unix(t.From*60, 0), time.Unix(t.To*60, 0)
		query, err := engine.NewRangeQuery(context.Background(), matching(all), nil, text, start, end, time.Minute)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		matrix, err := query.Exec(context.Background()).Matrix()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		minutes := map[int64]bool{}
		for _, series := range matrix {
			for _, point := range series.Floats {
				minutes[point.T/60_000] = true
			}
		}
		found[name] = []int64{}
		for minute := t.From; minute <= t.To; minute++ {
			if minutes[minute] {
				found[name] = append(found[name], minute)
			}
		}
	}
	return found, nil
}

func main() {
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 100_000_000, Timeout: time.Minute})
	tasks, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var one task
		err := tasks.Decode(&one)
		if err == io.EOF {
			return
		}
		var found map[string][]int64
		if err == nil {
			found, err = one.run(engine)
		}
		if err == nil {
			err = answers.Encode(found)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
