// SPDX-License-Identifier: GPL-2.0
/*
 * Test bed only: the parameter `coco_emulate` makes this kernel believe that it is a confidential
 * guest. cc_platform_has() then says that memory is encrypted, and all that follows from it is the
 * kernel's own, unchanged code: swiotlb is forced, the heap system_cc_shared is registered, virtio
 * devices must be reached through the DMA API.
 *
 * Nothing is encrypted. cc_mask stays 0, so the page tables say the same for private and for
 * shared memory, and the host reads both.
 */
#include <linux/cc_platform.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/printk.h>

#include <asm/coco.h>

static int __init coco_emulate(char *value)
{
	if (value && *value) {
		pr_err("coco_emulate: takes no value, '%s' given: ignored\n", value);
		return -EINVAL;
	}
	if (cc_platform_has(CC_ATTR_MEM_ENCRYPT)) {
		pr_err("coco_emulate: this is a confidential guest already: ignored\n");
		return -EBUSY;
	}
	/* The vendor whose answers of cc_platform_has() depend on no register of the CPU. */
	cc_vendor = CC_VENDOR_INTEL;
	pr_info("coco_emulate: playing a confidential guest; nothing is encrypted\n");
	return 0;
}
early_param("coco_emulate", coco_emulate);
