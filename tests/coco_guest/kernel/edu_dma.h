/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/edu_dma: QEMU's PCI device `edu` reads and writes dma-bufs. Test bed only.
 *
 * One opening of the device holds at most one dma-buf. Closing it, by whatever way, lets go.
 */
#ifndef EDU_DMA_H
#define EDU_DMA_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* The device's own memory that may be used, which is also the most of one transfer. */
#define EDU_DMA_MAX_BYTES 2048

struct edu_dma_map {
	__s32 fd;	/* in: the dma-buf */
	__u32 segments;	/* out: what it was mapped as */
	__u32 direct;	/* out: of these, how many at their physical address; the others are bounced */
	__u32 largest;	/* out: size of the largest, in bytes */
	__u64 dma_address;	/* out: of the first segment, as the device sees it */
	__u64 physical;		/* out: of the first segment, as the CPU sees it */
};

struct edu_dma_transfer {
	__u64 offset;	/* in the dma-buf */
	__u32 bytes;	/* 1 … EDU_DMA_MAX_BYTES; must not cross a segment's end (EINVAL) */
	__u32 reserved;	/* 0 */
};

/*
 * Attaches the dma-buf and maps it for the device, in both directions. The errno of a refusal is
 * that of dma_buf_attach() or dma_buf_map_attachment(); EBUSY: this opening holds one already.
 */
#define EDU_DMA_MAP _IOWR('E', 0, struct edu_dma_map)
/* Unmaps and detaches it. EINVAL: nothing is held. */
#define EDU_DMA_UNMAP _IO('E', 1)
/* The device copies from the dma-buf into its own memory, or from there into the dma-buf. */
#define EDU_DMA_READ _IOW('E', 2, struct edu_dma_transfer)
#define EDU_DMA_WRITE _IOW('E', 3, struct edu_dma_transfer)

#endif
