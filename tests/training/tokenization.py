"""
Processor time to tokenize the rows of the sample dataset, fifty times each. The second run finds them in the cache of `datasets`.

```
reflection-trl embedded-model models/smollm2-135m-instruct
python tests/training/tokenization.py
```
"""

import time

from datasets import concatenate_datasets, load_dataset
from transformers import AutoTokenizer

from reflection_trl.rendering import ChatTemplateRenderer
from reflection_trl.training.dataset import prepare_dataset


rows = load_dataset("parquet", data_files="recipes/data/reflection-sample.parquet", split="train")
renderer = ChatTemplateRenderer(AutoTokenizer.from_pretrained("models/smollm2-135m-instruct"))
start = time.process_time()
prepared = prepare_dataset(concatenate_datasets([rows] * 50), renderer, max_length=None)
seconds = time.process_time() - start
tokens = sum(map(len, prepared["input_ids"])) / len(prepared)
print(f"{len(prepared)} rows of {tokens:.0f} tokens in {seconds:.1f} s, {len(prepared) / seconds:.0f} rows/s")
