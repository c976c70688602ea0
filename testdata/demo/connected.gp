# The users of each region, from the CSV of `fleetctl stats` on stdin, as PNG on stdout.
set terminal pngcairo size 720,320 font "Sans,10"
set datafile separator ","
set key off
set style data histograms
set style fill solid 0.8 border -1
set boxwidth 0.6
set yrange [0:*]
set grid ytics lc rgb "#dddddd"
set ylabel "connected peers"
plot "/dev/stdin" using "connected":xticlabels(strcol("region")) lc rgb "#0072b2"
