// A control plane's tables in a directory of their own, and the workers' memory as the test's to write. One thread.
#ifndef TP_TEST_SFU_RIG_H
#define TP_TEST_SFU_RIG_H

#include "controlplane/table_writer_sfu.h"

#define SFU_RIG_SESSIONS      24
#define SFU_RIG_SUBSCRIPTIONS 192

// Two IPv4 and IPv6 listeners, an SFU with room for SFU_RIG_SESSIONS, two workers. The tables do not keep it: it lives until the process ends.
struct config *sfu_rig_config(void);
void sfu_rig_tables_open(struct table_writer *w, struct config *c);
// As a control plane that died without a word, and its successor.
void sfu_rig_tables_reopen(struct table_writer *w, struct config *c);
void sfu_rig_tables_open_again(struct table_writer *w, struct config *c);
void sfu_rig_tables_close(struct table_writer *w);

// What workers write, mapped writable.
struct shm_workers *sfu_rig_workers(void);
struct shm_sfu_state_view sfu_rig_state(const struct table_writer *w);

#endif
