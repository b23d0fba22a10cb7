# metrics.awk: reads the text format of Prometheus strictly: HELP and TYPE before samples, each metric in one piece,
# names and labels well formed, no sample twice, histograms whole and growing. Ends with 1 when something is wrong.
function fault(text) { print "line " NR ": " text ": " $0; faults++ }
function base(name) { sub(/_(bucket|sum|count)$/, "", name); return name }
/^# HELP [a-zA-Z_:][a-zA-Z0-9_:]* .+$/ { if ($3 in help) fault("helped twice"); help[$3] = 1; next }
/^# TYPE [a-zA-Z_:][a-zA-Z0-9_:]* (counter|gauge|histogram)$/ {
    if (!($3 in help)) fault("no HELP before")
    if ($3 in type) fault("typed twice")
    if ($4 == "counter" && $3 !~ /_total$/) fault("a counter is called _total")
    if ($4 != "counter" && $3 ~ /_total$/) fault("only a counter is called _total")
    type[$3] = $4
    now = $3
    next
}
/^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-z_]+="[^"\\\n]*"(,[a-z_]+="[^"\\\n]*")*\})? -?[0-9.e+-]+$/ {
    name = $0
    sub(/[{ ].*$/, "", name)
    metric = name in type ? name : base(name)
    if (!(metric in type)) fault("no TYPE before")
    if (metric != now) fault("apart from its metric")
    sample = $0
    sub(/ [^ ]*$/, "", sample)
    if (sample in seen) fault("sample twice")
    seen[sample] = 1
    samples++
    value = $NF + 0
    if (type[metric] == "histogram" && name ~ /_bucket$/) {
        labels = sample
        sub(/,?le="[^"]*"/, "", labels)
        if (labels in last && value < last[labels]) fault("a bucket holds less than the one before")
        last[labels] = value
        if (sample ~ /le="\+Inf"/) whole[labels] = value
    }
    if (type[metric] == "histogram" && name ~ /_count$/) {
        labels = sample
        sub(/_count/, "_bucket", labels)
        if (!(labels in whole) || whole[labels] != value) fault("count is not the last bucket")
    }
    next
}
{ fault("no metric") }
END {
    if (samples < 100) { print "only " samples " samples"; faults++ }
    exit faults > 0
}
