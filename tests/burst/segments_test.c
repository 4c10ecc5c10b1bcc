// Segments that are made anew while a dataplane runs on the old ones.
#include <criterion/criterion.h>

#include "dataplane/contract/shm/segment.h"
#include "dataplane/segments.h"
#include "tests/burst/pipeline.h"

TestSuite(segments, .init = pipeline_init, .fini = pipeline_fini, .timeout = 60);

Test(segments, new_files_under_the_old_names_are_noticed)
{
	struct shm_segment fresh;
	enum shm_segment_kind kind;
	struct dp_segments s;

	cr_assert_eq(dp_segments_attach(INSTANCE, &s, &kind), SHM_ATTACH_READY);
	cr_assert_not(dp_segments_replaced(&s));
	cr_assert_eq(
		shm_segment_create(INSTANCE, SHM_SEGMENT_RINGS, s.rings_segment.size_bytes, &fresh),
		0);
	// Not before it has the name.
	cr_assert_not(dp_segments_replaced(&s));
	cr_assert_eq(shm_segment_publish(&fresh, INSTANCE), 0);
	cr_assert(dp_segments_replaced(&s));
	dp_segments_detach(&s);
	// Gone is not replaced: what is mapped still works.
	cr_assert_eq(dp_segments_attach(INSTANCE, &s, &kind), SHM_ATTACH_READY);
	shm_instance_remove(INSTANCE);
	cr_assert_not(dp_segments_replaced(&s));
	dp_segments_detach(&s);
	shm_segment_detach(&fresh);
}
