"""Truth comes in many forms; each is read as it was meant, or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fumikura.core.errors import TruthError
from fumikura.core.page import Box, LabelledBox, Truth
from fumikura.core.scoring.truth import load_truth

ALTO = """<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#">
 <Description><MeasurementUnit>pixel</MeasurementUnit></Description>
 <Layout><Page ID="p" WIDTH="300" HEIGHT="200"><PrintSpace>
  <TextBlock ID="b">
   <TextLine ID="l1" HPOS="200" VPOS="10" WIDTH="20" HEIGHT="50">
    <String ID="s1" CONTENT="いろ" HPOS="200" VPOS="10" WIDTH="20" HEIGHT="50">
     <Glyph ID="g1" CONTENT="い" HPOS="200" VPOS="10" WIDTH="20" HEIGHT="24"><Variant CONTENT="ハ"/></Glyph>
     <Glyph ID="g2" CONTENT="ろ" HPOS="200.4" VPOS="36.6" WIDTH="20" HEIGHT="23.4"/>
    </String>
   </TextLine>
   <TextLine ID="l2" HPOS="150" VPOS="10" WIDTH="20" HEIGHT="30">
    <String ID="s2" CONTENT="は" HPOS="150" VPOS="10" WIDTH="20" HEIGHT="20"/><SP/>
   </TextLine>
  </TextBlock>
 </PrintSpace></Page></Layout>
</alto>
"""
PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">
 <Page imageFilename="other.jpg" imageWidth="300" imageHeight="200">
  <ReadingOrder><OrderedGroup id="o"><RegionRefIndexed index="0" regionRef="right"/>
   <RegionRefIndexed index="1" regionRef="left"/></OrderedGroup></ReadingOrder>
  <TextRegion id="left"><Coords points="150,10 170,10 170,40 150,40"/>
   <TextLine id="l2"><Coords points="150,10 170,10 170,40 150,40"/>
    <Word id="w2"><Coords points="150,10 170,10 170,30 150,30"/>
     <TextEquiv><Unicode>は</Unicode></TextEquiv></Word>
   </TextLine>
  </TextRegion>
  <TextRegion id="right"><Coords points="200,10 220,10 220,60 200,60"/>
   <TextLine id="l1"><Coords points="200,10 220,10 220,60 200,60"/>
    <Word id="w1"><Coords points="200,10 220,10 220,60 200,60"/>
     <Glyph id="g1"><Coords points="200,10 220,10 220,34 200,34"/>
      <TextEquiv index="1"><Unicode>ハ</Unicode></TextEquiv>
      <TextEquiv index="0"><Unicode>い</Unicode></TextEquiv>
     </Glyph>
     <Glyph id="g2"><Coords points="200,37 220,37 220,60 200,60"/>
      <TextEquiv><Unicode>ろ</Unicode></TextEquiv></Glyph>
    </Word>
    <TextEquiv><Unicode>いろ</Unicode></TextEquiv>
   </TextLine>
  </TextRegion>
 </Page>
</PcGts>
"""
VOC = """<annotation><filename>else.jpg</filename>
 <object><name>1_overall</name><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>300</xmax><ymax>200</ymax></bndbox></object>
 <object><name>2_handwritten</name>
  <bndbox><xmin>200</xmin><ymin>10</ymin><xmax>220</xmax><ymax>60</ymax></bndbox></object>
 <object><name>5_stamp</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>
</annotation>
"""
COCO = {
    "images": [
        {"id": 7, "file_name": "scans/p.jpg", "width": 300, "height": 200},
        {"id": 8, "file_name": "blank.png"},
    ],
    "categories": [{"id": 1, "name": "い"}, {"id": 2, "name": "U+308D"}, {"id": 3, "name": "□"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 2, "bbox": [200, 37, 20, 23.0]},
        {"id": 2, "image_id": 7, "category_id": 1, "bbox": [200, 10, 20, 24]},
        {"id": 3, "image_id": 7, "category_id": 3, "bbox": [100, 10, 20, 24]},
    ],
}
BOXES = (
    LabelledBox(Box(200, 10, 20, 24), "い"),
    LabelledBox(Box(200, 37, 20, 23), "ろ"),
    LabelledBox(Box(150, 10, 20, 20), "は"),
)
LINES = (LabelledBox(Box(200, 10, 20, 50), "いろ"), LabelledBox(Box(150, 10, 20, 30), "は"))


def read(path: Path, content: str) -> Truth:
    path.write_text(content, encoding="utf-8")
    return load_truth([path])[path.stem]


@pytest.mark.parametrize("content", [ALTO, PAGE])
def test_glyphs_are_boxes_in_reading_order_and_lines_are_kept(tmp_path: Path, content: str) -> None:
    truth = read(tmp_path / "p.xml", content)

    assert truth == Truth(boxes=BOXES, is_ordered=True, text="いろ\nは", lines=LINES)


@pytest.mark.parametrize(
    "content",
    [
        ALTO.replace("<Glyph", "<!--").replace("</Glyph>", "-->").replace('HEIGHT="23.4"/>', "-->"),
        PAGE.replace("<Glyph", "<Grapheme").replace("</Glyph", "</Grapheme"),
    ],
)
def test_lines_without_glyphs_tell_their_text_and_no_boxes(tmp_path: Path, content: str) -> None:
    truth = read(tmp_path / "p.xml", content)

    assert truth.boxes is None
    assert (truth.text, truth.lines) == ("いろ\nは", LINES)


def test_the_layout_alone_tells_lines(tmp_path: Path) -> None:
    truth = read(tmp_path / "p.xml", VOC)

    assert truth == Truth(lines=(LabelledBox(Box(200, 10, 20, 50), ""),))


def test_objects_called_by_a_character_are_boxes(tmp_path: Path) -> None:
    truth = read(tmp_path / "p.xml", VOC.replace("2_handwritten", "い").replace("5_stamp", "U+308D"))

    assert truth.boxes == (LabelledBox(Box(200, 10, 20, 50), "い"), LabelledBox(Box(1, 1, 8, 8), "ろ"))


def test_coco_knows_pages_by_their_file_and_drops_marks(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(COCO), encoding="utf-8")

    truths = load_truth([path])

    assert truths == {"p": Truth(boxes=(BOXES[1], BOXES[0])), "blank": Truth(boxes=())}


def test_positions_in_coco_are_the_reading_order(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    annotations = [{**one, "position": 5 - one["id"]} for one in COCO["annotations"]]  # type: ignore[operator]
    path.write_text(json.dumps({**COCO, "annotations": annotations}), encoding="utf-8")

    truth = load_truth([path])["p"]

    assert (truth.boxes, truth.is_ordered) == ((BOXES[0], BOXES[1]), True)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("つれ\nづれ\n", "つれ\nづれ\n"),
        ("大地（ぢ）しん￣ヲ\n《割書：右｜左》【注】", "大地しん\n右左"),
        ("（つれづれ）", "（つれづれ）"),  # a mark of the text itself, no reading of a character
    ],
)
def test_a_text_is_plain_or_in_koji(tmp_path: Path, content: str, text: str) -> None:
    assert read(tmp_path / "p.txt", content) == Truth(text=text)


def test_a_text_of_several_pages_has_their_names_above_each(tmp_path: Path) -> None:
    path = tmp_path / "all.txt"
    path.write_text("# p_1\nい\nろ\n\n# p_2\n\n# p_3\nは\n", encoding="utf-8")

    truths = load_truth([path])

    assert truths == {"p_1": Truth(text="い\nろ"), "p_2": Truth(text=""), "p_3": Truth(text="は")}


def test_a_folder_of_scans_and_texts_beside_them_is_texts(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "p.png")
    (tmp_path / "p.txt").write_text("い", encoding="utf-8")
    (tmp_path / "README.txt").write_text("about these scans", encoding="utf-8")

    assert load_truth([tmp_path]) == {"p": Truth(text="い")}


def test_images_beside_xml_are_the_pages_and_no_masks(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "p.png")
    (tmp_path / "p.xml").write_text(VOC, encoding="utf-8")
    (tmp_path / "mets.xml").write_text("<mets/>", encoding="utf-8")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")

    assert list(load_truth([tmp_path])) == ["p"]


def test_several_forms_tell_several_things_of_one_page(tmp_path: Path) -> None:
    (tmp_path / "p.xml").write_text(VOC, encoding="utf-8")
    (tmp_path / "p.txt").write_text("いろ", encoding="utf-8")

    truth = load_truth([tmp_path / "p.xml", tmp_path / "p.txt"])["p"]

    assert (truth.text, len(truth.lines or ())) == ("いろ", 1)


def test_two_texts_of_one_page_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("いろ", encoding="utf-8")
    (tmp_path / "all.txt").write_text("# p\nいろ", encoding="utf-8")

    with pytest.raises(TruthError, match=r"page 'p' has a text in .* and in "):
        load_truth([tmp_path / "p.txt", tmp_path / "all.txt"])


BOMB = """<?xml version="1.0"?><!DOCTYPE alto [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<alto><Layout><Page>&b;</Page></Layout></alto>"""
FETCHING = """<?xml version="1.0"?><!DOCTYPE alto [<!ENTITY x SYSTEM "file:///etc/hostname">]>
<alto><Layout><Page>&x;</Page></Layout></alto>"""


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("p.xml", BOMB, "declares a document type"),
        ("p.xml", FETCHING, "declares a document type"),
        ("p.xml", "<alto>", "is no XML"),
        ("p.xml", "<mets/>", "is no truth that fumikura can read"),
        ("p.xml", "<alto>" * 5000 + "</alto>" * 5000, "is no XML"),
        ("p.xml", ALTO.replace(">pixel<", ">mm10<"), "measures in 'mm10'"),
        ("p.xml", ALTO.replace('CONTENT="い"', 'CONTENT="いろは"'), "more than one character"),
        (
            "p.xml",
            ALTO.replace('HPOS="200" VPOS="10" WIDTH="20" HEIGHT="24"', 'HPOS="x"'),
            "line 8: HPOS='x'",
        ),
        ("p.xml", ALTO.replace("</Page>", "</Page><Page/>"), "holds 2 pages"),
        ("p.xml", PAGE.replace("200,37 220,37 220,60 200,60", "200,37 220"), "are no points"),
        ("p.xml", PAGE.replace('"200,10 220,10 220,34 200,34"', '"200,10"'), "holds nothing"),
        ("p.xml", VOC.replace("2_handwritten", "dog"), "line 3: 'dog' is neither a character nor one of"),
        ("p.xml", VOC.replace("<xmin>200</xmin>", ""), "lacks a number"),
        ("p.json", "{", "is no JSON"),
        ("p.json", "[" * 100_000, "is no JSON"),
        ("p.json", '{"a": 1}', "is no truth that fumikura can read"),
        ("p.json", json.dumps({**COCO, "annotations": [{"id": 1}]}), "is not in COCO's form"),
        ("p.json", json.dumps({**COCO, "categories": [{"id": 1, "name": "dog"}]}), "more than one character"),
        ("p.txt", "# p\nい\n# p\nろ\n", "line 3: there is a text of p before"),
        ("p.docx", "", "is no truth that fumikura can read"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(
    tmp_path: Path, name: str, content: str, told: str
) -> None:
    with pytest.raises(TruthError) as error:
        read(tmp_path / name, content)

    assert told in str(error.value)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_text_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_bytes("いろは".encode("cp932"))

    with pytest.raises(TruthError, match="is not UTF-8 at byte 0"):
        load_truth([path])
