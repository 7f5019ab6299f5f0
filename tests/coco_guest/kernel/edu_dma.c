// SPDX-License-Identifier: GPL-2.0
/*
 * Test bed only: QEMU's PCI device `edu` does DMA on dma-bufs, by the ordinary way of a driver:
 * attach, map, give the device the DMA address. See edu_dma.h.
 *
 * The device copies between guest memory and a buffer of its own. QEMU ends with an error when a
 * transfer leaves that buffer, so all ranges are checked here.
 */
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/iopoll.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "edu_dma.h"

/* QEMU, docs/specs/edu. */
#define EDU_DMA_SOURCE		0x80
#define EDU_DMA_DESTINATION	0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_COMMAND		0x98
#define EDU_DMA_START		BIT(0)
#define EDU_DMA_TO_MEMORY	BIT(1)
#define EDU_BUFFER		0x40000
#define EDU_ADDRESS_BITS	40 /* -device edu,dma_mask=0xffffffffff */

#define POLL_US		1000
#define PATIENCE_US	(10 * USEC_PER_SEC) /* a transfer takes QEMU a tenth of a second */

/* The one device. */
static struct {
	struct device *dev;
	void __iomem *registers;
	struct mutex engine; /* one transfer at a time */
} edu = { .engine = __MUTEX_INITIALIZER(edu.engine) };

/* One opening of /dev/edu_dma. */
struct edu_file {
	struct mutex lock; /* of the fields below: all are set, or none */
	struct dma_buf *buffer;
	struct dma_buf_attachment *attachment;
	struct sg_table *table;
};

static int edu_transfer(dma_addr_t address, u32 bytes, bool to_memory)
{
	u64 command = EDU_DMA_START | (to_memory ? EDU_DMA_TO_MEMORY : 0);
	u64 state;
	int err;

	mutex_lock(&edu.engine);
	/* After a transfer that took too long the engine may still be at it. */
	err = readq_poll_timeout(edu.registers + EDU_DMA_COMMAND, state, !(state & EDU_DMA_START),
				 POLL_US, PATIENCE_US);
	if (!err) {
		writeq(to_memory ? EDU_BUFFER : address, edu.registers + EDU_DMA_SOURCE);
		writeq(to_memory ? address : EDU_BUFFER, edu.registers + EDU_DMA_DESTINATION);
		writeq(bytes, edu.registers + EDU_DMA_COUNT);
		writeq(command, edu.registers + EDU_DMA_COMMAND);
		err = readq_poll_timeout(edu.registers + EDU_DMA_COMMAND, state,
					 !(state & EDU_DMA_START), POLL_US, PATIENCE_US);
	}
	mutex_unlock(&edu.engine);
	return err;
}

static void edu_let_go(struct edu_file *file)
{
	if (!file->buffer)
		return;
	dma_buf_unmap_attachment_unlocked(file->attachment, file->table, DMA_BIDIRECTIONAL);
	dma_buf_detach(file->buffer, file->attachment);
	dma_buf_put(file->buffer);
	file->buffer = NULL;
}

static void edu_describe(struct sg_table *table, struct edu_dma_map *map)
{
	struct scatterlist *segment;
	int i;

	map->segments = 0;
	map->direct = 0;
	map->largest = 0;
	map->dma_address = sg_dma_address(table->sgl);
	map->physical = sg_phys(table->sgl);
	/* Without an IOMMU, which this guest has not, each segment is mapped by itself. */
	for_each_sgtable_dma_sg(table, segment, i) {
		map->segments++;
		map->direct += sg_dma_address(segment) == sg_phys(segment);
		map->largest = max(map->largest, sg_dma_len(segment));
	}
}

static long edu_map(struct edu_file *file, struct edu_dma_map __user *argument)
{
	struct dma_buf_attachment *attachment;
	struct dma_buf *buffer;
	struct sg_table *table;
	struct edu_dma_map map;
	long err;

	if (copy_from_user(&map, argument, sizeof(map)))
		return -EFAULT;
	if (file->buffer)
		return -EBUSY;

	buffer = dma_buf_get(map.fd);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	attachment = dma_buf_attach(buffer, edu.dev);
	if (IS_ERR(attachment)) {
		err = PTR_ERR(attachment);
		goto err_put;
	}
	table = dma_buf_map_attachment_unlocked(attachment, DMA_BIDIRECTIONAL);
	if (IS_ERR(table)) {
		err = PTR_ERR(table);
		goto err_detach;
	}
	edu_describe(table, &map);
	if (copy_to_user(argument, &map, sizeof(map))) {
		err = -EFAULT;
		goto err_unmap;
	}
	file->buffer = buffer;
	file->attachment = attachment;
	file->table = table;
	return 0;

err_unmap:
	dma_buf_unmap_attachment_unlocked(attachment, table, DMA_BIDIRECTIONAL);
err_detach:
	dma_buf_detach(buffer, attachment);
err_put:
	dma_buf_put(buffer);
	return err;
}

static long edu_unmap(struct edu_file *file)
{
	if (!file->buffer)
		return -EINVAL;
	edu_let_go(file);
	return 0;
}

static long edu_copy(struct edu_file *file, const struct edu_dma_transfer __user *argument,
		     bool to_memory)
{
	struct edu_dma_transfer transfer;
	struct scatterlist *segment;
	u64 start = 0;
	int i;

	if (copy_from_user(&transfer, argument, sizeof(transfer)))
		return -EFAULT;
	if (!file->buffer || transfer.reserved || !transfer.bytes ||
	    transfer.bytes > EDU_DMA_MAX_BYTES)
		return -EINVAL;

	for_each_sgtable_dma_sg(file->table, segment, i) {
		u64 length = sg_dma_len(segment);
		u64 within = transfer.offset - start;

		if (within < length) {
			if (transfer.bytes > length - within)
				break;
			return edu_transfer(sg_dma_address(segment) + within, transfer.bytes,
					    to_memory);
		}
		start += length;
	}
	return -EINVAL;
}

static int edu_open(struct inode *inode, struct file *opened)
{
	struct edu_file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	if (!file)
		return -ENOMEM;
	mutex_init(&file->lock);
	opened->private_data = file;
	return 0;
}

static int edu_release(struct inode *inode, struct file *opened)
{
	struct edu_file *file = opened->private_data;

	edu_let_go(file);
	kfree(file);
	return 0;
}

static long edu_ioctl(struct file *opened, unsigned int command, unsigned long argument)
{
	struct edu_file *file = opened->private_data;
	long result;

	mutex_lock(&file->lock);
	switch (command) {
	case EDU_DMA_MAP:
		result = edu_map(file, (struct edu_dma_map __user *)argument);
		break;
	case EDU_DMA_UNMAP:
		result = edu_unmap(file);
		break;
	case EDU_DMA_READ:
	case EDU_DMA_WRITE:
		result = edu_copy(file, (const struct edu_dma_transfer __user *)argument,
				  command == EDU_DMA_WRITE);
		break;
	default:
		result = -ENOTTY;
	}
	mutex_unlock(&file->lock);
	return result;
}

static const struct file_operations edu_operations = {
	.owner = THIS_MODULE,
	.open = edu_open,
	.release = edu_release,
	.unlocked_ioctl = edu_ioctl,
};

static struct miscdevice edu_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "edu_dma",
	.fops = &edu_operations,
	.mode = 0600,
};

static int edu_probe(struct pci_dev *pci, const struct pci_device_id *id)
{
	int err;

	if (edu.dev)
		return -EBUSY; /* one is enough */
	err = pcim_enable_device(pci);
	if (err)
		return err;
	err = dma_set_mask_and_coherent(&pci->dev, DMA_BIT_MASK(EDU_ADDRESS_BITS));
	if (err)
		return err;
	edu.registers = pcim_iomap(pci, 0, 0);
	if (!edu.registers)
		return -ENOMEM;
	pci_set_master(pci);
	edu.dev = &pci->dev;
	err = misc_register(&edu_misc);
	if (err)
		edu.dev = NULL;
	return err;
}

static const struct pci_device_id edu_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{},
};

static struct pci_driver edu_driver = {
	.name = "edu_dma",
	.id_table = edu_ids,
	.probe = edu_probe,
	/* Built in and never unbound: an opening may outlive any moment but the guest's end. */
	.driver.suppress_bind_attrs = true,
};
builtin_pci_driver(edu_driver);

MODULE_IMPORT_NS("DMA_BUF");
