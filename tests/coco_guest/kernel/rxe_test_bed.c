// SPDX-License-Identifier: GPL-2.0
/*
 * Test bed only: soft-RoCE as a hardware device in a confidential guest would be.
 *
 * 1. It registers dma-bufs. Its "DMA" is the CPU's copy, so a region is a list of pages; they are
 *    found through the exporter's kernel mapping, which also holds them for the region's life.
 * 2. With the parameter rdma_rxe.cc_dma_bounce=1, devices added from then on report
 *    IBV_DEVICE_CC_DMA_BOUNCE, which the stock kernel reports only for devices with a DMA device;
 *    its ib_umem_get() then refuses to register ordinary memory (EOPNOTSUPP).
 */
#include <linux/dma-buf.h>
#include <linux/iosys-map.h>
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <linux/vmalloc.h>

#include "rxe.h"
#include "rxe_loc.h"
#include "rxe_test_bed.h"

static bool cc_dma_bounce;
module_param(cc_dma_bounce, bool, 0644);
MODULE_PARM_DESC(cc_dma_bounce, "devices added from now on play one whose DMA would be bounced");

/* What a region of a dma-buf holds. */
struct rxe_dmabuf {
	struct dma_buf *buffer;
	struct iosys_map map;
};

void rxe_test_bed_init(struct ib_device *device)
{
	device->cc_dma_bounce = cc_dma_bounce;
}

void rxe_release_dmabuf(struct rxe_mr *mr)
{
	if (!mr->dmabuf)
		return;
	dma_buf_vunmap_unlocked(mr->dmabuf->buffer, &mr->dmabuf->map);
	dma_buf_put(mr->dmabuf->buffer);
	kfree(mr->dmabuf);
	mr->dmabuf = NULL;
}

/* On success the region holds the buffer: rxe_release_dmabuf() lets go. */
static int rxe_hold_dmabuf(struct rxe_mr *mr, int fd, u64 end)
{
	struct rxe_dmabuf *held;
	int err;

	held = kzalloc(sizeof(*held), GFP_KERNEL);
	if (!held)
		return -ENOMEM;
	held->buffer = dma_buf_get(fd);
	if (IS_ERR(held->buffer)) {
		err = PTR_ERR(held->buffer);
		goto err_free;
	}
	err = -EINVAL;
	if (end > held->buffer->size)
		goto err_put;
	err = dma_buf_vmap_unlocked(held->buffer, &held->map);
	if (err)
		goto err_put;
	mr->dmabuf = held;
	return 0;

err_put:
	dma_buf_put(held->buffer);
err_free:
	kfree(held);
	return err;
}

/* Lists the region's pages; page_info is the region's own and freed with it. */
static int rxe_list_pages(struct rxe_mr *mr, u64 offset, u64 length)
{
	u64 first = offset & PAGE_MASK;
	u64 pages = DIV_ROUND_UP(offset - first + length, PAGE_SIZE);
	const struct iosys_map *map = &mr->dmabuf->map;
	u64 i;

	if (map->is_iomem || !is_vmalloc_addr(map->vaddr))
		return -EOPNOTSUPP;
	if (pages > INT_MAX)
		return -ENOMEM;
	mr->page_info = kcalloc(pages, sizeof(*mr->page_info), GFP_KERNEL | __GFP_NOWARN);
	if (!mr->page_info)
		return -ENOMEM;
	mr->num_buf = pages;
	mr->max_allowed_buf = pages;
	for (i = 0; i < pages; i++) {
		mr->page_info[i].page = vmalloc_to_page(map->vaddr + first + i * PAGE_SIZE);
		if (!mr->page_info[i].page)
			return -EFAULT;
	}
	mr->nbuf = pages;
	return 0;
}

struct ib_mr *rxe_reg_user_mr_dmabuf(struct ib_pd *ibpd, u64 offset, u64 length, u64 iova, int fd,
				     int access, struct ib_dmah *dmah,
				     struct uverbs_attr_bundle *attrs)
{
	struct rxe_dev *rxe = to_rdev(ibpd->device);
	struct rxe_pd *pd = to_rpd(ibpd);
	struct rxe_mr *mr;
	u64 end, last;
	int err;

	if (dmah || access & ~RXE_ACCESS_SUPPORTED_MR)
		return ERR_PTR(-EOPNOTSUPP);
	/* The caller has checked that offset and iova lie at the same place in their page. */
	if (!length || check_add_overflow(offset, length, &end) ||
	    check_add_overflow(iova, length - 1, &last))
		return ERR_PTR(-EINVAL);

	mr = kzalloc(sizeof(*mr), GFP_KERNEL);
	if (!mr)
		return ERR_PTR(-ENOMEM);
	err = rxe_add_to_pool(&rxe->mr_pool, mr);
	if (err)
		goto err_free;

	/* From here on the region is taken apart by rxe_cleanup(). */
	rxe_get(pd);
	mr->ibmr.pd = ibpd;
	mr->ibmr.device = ibpd->device;
	rxe_mr_init(access, mr);
	mr->ibmr.type = IB_MR_TYPE_USER;
	mr->ibmr.iova = iova;
	mr->ibmr.length = length;

	err = rxe_hold_dmabuf(mr, fd, end);
	if (err)
		goto err_cleanup;
	err = rxe_list_pages(mr, offset, length);
	if (err)
		goto err_cleanup;

	mr->state = RXE_MR_STATE_VALID;
	rxe_finalize(mr);
	return &mr->ibmr;

err_cleanup:
	rxe_cleanup(mr);
err_free:
	kfree(mr);
	return ERR_PTR(err);
}

MODULE_IMPORT_NS("DMA_BUF");
