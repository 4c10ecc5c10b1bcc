// Writing a mix as a pcap file, for net_pcap's infinite_rx and for pktgen. One thread.
#ifndef TP_BENCH_PCAP_OUT_H
#define TP_BENCH_PCAP_OUT_H

#include "bench/blast/flow_set.h"
#include "bench/blast/mix.h"

// Writes n_frames frames of the mix. The same arguments give the same bytes. 0 or -errno.
int pcap_out_write(const char *path, struct flow_set *flows, struct mix *mix, uint32_t n_frames);

#endif
