/* SPDX-License-Identifier: GPL-2.0 */
/* Test bed only: what soft-RoCE lacks of a hardware device. See rxe_test_bed.c. */
#ifndef RXE_TEST_BED_H
#define RXE_TEST_BED_H

#include <linux/types.h>

struct ib_device;
struct ib_dmah;
struct ib_mr;
struct ib_pd;
struct rxe_mr;
struct uverbs_attr_bundle;

/* Before the device is registered. */
void rxe_test_bed_init(struct ib_device *device);

/* The operation reg_user_mr_dmabuf. */
struct ib_mr *rxe_reg_user_mr_dmabuf(struct ib_pd *pd, u64 offset, u64 length, u64 iova, int fd,
				     int access, struct ib_dmah *dmah,
				     struct uverbs_attr_bundle *attrs);

/* When nothing uses the region any more; does nothing for one of ordinary memory. */
void rxe_release_dmabuf(struct rxe_mr *mr);

#endif
